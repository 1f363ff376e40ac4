package postgrestest

import (
	"errors"
	"syscall"
)

const folderPrefix = "qpc-postgres-"

func unprivileged() (*syscall.SysProcAttr, error) {
	return nil, errors.Join(ErrMissing, errors.New("tests with PostgreSQL need a Unix"))
}

func own(string, *syscall.SysProcAttr) error { return nil }

func sweep() {}

func hasSpace(string) bool { return false }
