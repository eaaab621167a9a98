//go:build !linux

package main

import "syscall"

// tied does what it can only do on Linux, where alone processor time and memory
// can be told: nothing.
func tied() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{}
}
