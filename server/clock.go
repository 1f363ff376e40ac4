package server

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// maxDrift is by how much the clock may differ from the time that has
	// passed: clocks are corrected a little all the time.
	maxDrift = 2 * time.Minute
	// steadyTime is how long a clock that was set must run steadily to be
	// believed.
	steadyTime = 10 * time.Minute
	// maxForward is how far ahead it may have been set to be believed that soon:
	// what is out of time by it is deleted. One that is further ahead has to run
	// steadily for farSteadyTime, in which an operator can set it right. It is
	// believed in the end, because a machine that was paused for long is no
	// reason to keep everything for ever.
	maxForward    = 12 * time.Hour
	farSteadyTime = 24 * time.Hour
)

// earliest is before any release of the program.
var earliest = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// wallClock watches the wall clock, by which keys, certificates and what is stored
// go out of time, for being set.
type wallClock struct {
	wall    func() time.Time
	elapsed func() time.Duration // keeps going when the clock is set, and while the machine sleeps

	mu     sync.Mutex
	wallAt time.Time     // the wall clock when it was believed last
	at     time.Duration // and what had elapsed
	since  time.Duration // from when on it differs by by
	by     time.Duration // 0: it does not
}

func newWallClock(wall func() time.Time, elapsed func() time.Duration) *wallClock {
	return &wallClock{wall: wall, elapsed: elapsed, wallAt: wall().Round(0), at: elapsed()}
}

var errEarly = errors.New("the clock is before the time of this program: set it")

// check returns an error while the clock is not to be believed.
func (c *wallClock) check() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Without Round, Sub would compare the monotonic clocks.
	wall, elapsed := c.wall().Round(0), c.elapsed()
	if wall.Before(earliest) {
		return errEarly
	}
	off := wall.Sub(c.wallAt) - (elapsed - c.at)
	switch {
	case off.Abs() <= maxDrift: // as always, or set back to where it was
		c.wallAt, c.at, c.by = wall, elapsed, 0
		return nil
	case (off - c.by).Abs() > maxDrift: // set just now, or once more
		c.by, c.since = off, elapsed
	case elapsed-c.since >= farSteadyTime, off <= maxForward && elapsed-c.since >= steadyTime:
		c.wallAt, c.at, c.by = wall, elapsed, 0
		return nil
	}
	if off > 0 {
		text := "nothing expires until it has run steadily for a while"
		if off > maxForward {
			text = "nothing expires until it is set back, has run steadily for a day, or the server is restarted"
		}
		return fmt.Errorf("the clock was set ahead by %v: is that right? %s", off.Round(time.Minute), text)
	}
	return fmt.Errorf("the clock was set back by %v: is that right? New devices may be refused until it is", (-off).Round(time.Minute))
}
