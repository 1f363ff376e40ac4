//go:build !unix

package server

// freeSpace is how many bytes this user can still write below dir; -1: unknown.
func freeSpace(string) int64 { return -1 }
