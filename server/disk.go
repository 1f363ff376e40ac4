package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// leastFree is below how many bytes of free space the disk counts as full: the
// database needs some to make space.
const leastFree = 64 << 20

// probeSize is what is written to see whether one can write, in bytes.
const probeSize = 4 << 10

// lookAtDisk tells whether the data folder has space and, where write is set,
// whether it can be written to.
func (s *Server) lookAtDisk(write bool) (string, error) {
	free := freeSpace(s.cfg.DataDir)
	if write {
		if err := writeProbe(s.cfg.DataDir); err != nil {
			return "", fmt.Errorf("the data folder cannot be written to: %w", withoutPath(err))
		}
	}
	switch {
	case free < 0:
		return "nothing is known against the data folder's disk", nil
	case free < s.leastFree:
		return "", fmt.Errorf("the disk is all but full: %d MiB are left, and %d are needed", free>>20, s.leastFree>>20)
	}
	if !write {
		return fmt.Sprintf("%d MiB are free for the data folder", free>>20), nil
	}
	return fmt.Sprintf("the data folder can be written to, %d MiB are free", free>>20), nil
}

// writeProbe writes a file, waits for the disk, and removes it.
func writeProbe(dir string) error {
	f, err := os.CreateTemp(dir, ".ready-*")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, probeSize))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// withoutPath takes the names of files out of an error.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", e.Op, e.Err)
	}
	return err
}
