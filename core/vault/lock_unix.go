//go:build unix

package vault

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// acquireLock locks the file at path until it is closed or the process ends,
// or returns ErrInUse.
func acquireLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("vault: open the lock file: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return file, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrInUse
	} else {
		err = fmt.Errorf("vault: lock: %w", err)
	}
	return nil, errors.Join(err, file.Close())
}
