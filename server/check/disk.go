package check

import (
	"fmt"
	"os"
)

// Space on the disk of the data folder below which it is time to act, in
// bytes. SQLite needs some to finish what it has begun.
const (
	lowSpace    = 1 << 30
	wrongSpace  = 100 << 20
	mebibyte    = 1 << 20
	lowFraction = 20 // of the disk, where that is less
)

// disk tells whether there is room left in the data folder.
func disk(dir string) []Finding {
	if _, err := os.Stat(dir); err != nil {
		return nil // a finding of its own
	}
	free, total, err := diskSpace(dir)
	if err != nil {
		return warn(fmt.Sprintf("the space on the disk cannot be asked for: %v", err))
	}
	return judgeSpace(free, total)
}

func judgeSpace(free, total uint64) []Finding {
	left := fmt.Sprintf("%d MiB of %d MiB are free on the data folder's disk", free/mebibyte, total/mebibyte)
	switch {
	case free < wrongSpace:
		return wrong(left + ": the server will soon take no messages; make room")
	case free < min(lowSpace, total/lowFraction):
		return warn(left + ": make room")
	}
	return ok(left)
}
