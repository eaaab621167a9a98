package main

import "syscall"

// tied makes the kernel end a program that we started when we end, however we
// do.
func tied() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
