package main

import (
	"context"
	"fmt"
	"net"
	"slices"
)

// hosts says which machines may be driven: this one, and those that were named.
type hosts struct {
	allowed []string
}

// check refuses a host:port that is neither on this machine nor allowed. What
// it is for goes into the error.
func (h hosts) check(ctx context.Context, what, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if slices.Contains(h.allowed, host) {
		return nil
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	for _, ip := range addresses {
		if !ip.Unmap().IsLoopback() {
			return fmt.Errorf("%s: %s is not this machine, and load belongs on machines of one's own: say --allow-host %s if it is", what, host, host)
		}
	}
	return nil
}
