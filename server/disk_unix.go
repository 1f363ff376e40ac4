//go:build unix

package server

import "golang.org/x/sys/unix"

// freeSpace is how many bytes this user can still write below dir; -1: unknown.
func freeSpace(dir string) int64 {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return -1
	}
	return int64(s.Bavail) * int64(s.Bsize)
}
