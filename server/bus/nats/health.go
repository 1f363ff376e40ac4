package nats

import (
	"fmt"
	"time"
)

// Health implements bus.Bus. ErrGone.
func (b *Bus) Health() error {
	if b.conn.IsConnected() && time.Since(b.begun)-time.Duration(b.echo.Load()) <= b.echoTime {
		return nil
	}
	why := "it does not deliver"
	if !b.conn.IsConnected() {
		why = "it cannot be reached"
	}
	if last := b.lastError.Load(); last != nil {
		why += ": " + *last
	}
	return fmt.Errorf("%w: %s", ErrGone, why)
}
