//go:build unix && !linux

package postgrestest

import "syscall"

func endWithParent(*syscall.SysProcAttr) {}

func hasSpace(string) bool { return false }
