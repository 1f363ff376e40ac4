//go:build !linux && !darwin && !windows

package server

import "time"

var began = time.Now()

// uptime is how long the program has run; whether the machine's sleep counts is
// the system's matter.
func uptime() time.Duration { return time.Since(began) }
