package postgrestest

import "syscall"

// endWithParent makes PostgreSQL stop at once when the test's process dies.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }

// hasSpace tells whether a folder has room for a cluster.
func hasSpace(dir string) bool {
	var info syscall.Statfs_t
	return syscall.Statfs(dir, &info) == nil && info.Bavail*uint64(info.Bsize) >= 2<<30
}
