package postgrestest

import "syscall"

// endWithParent makes PostgreSQL stop at once when the test's process dies.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
