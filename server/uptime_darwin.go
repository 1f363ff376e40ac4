package server

import (
	"time"

	"golang.org/x/sys/unix"
)

// uptime is how long the machine has been up, its sleep included, which Go's
// own monotonic clock leaves out.
func uptime() time.Duration { return clockTime(unix.CLOCK_MONOTONIC) }
