package server

import (
	"time"

	"golang.org/x/sys/windows"
)

// uptime is how long the machine has been up, its sleep included.
func uptime() time.Duration { return windows.DurationSinceBoot() }
