package controller

import "time"

// Loop is where a controller's work runs.
type Loop struct {
	// UI runs f later on the goroutine that owns the controllers; calls from one
	// goroutine keep their order.
	UI func(f func())
	// Go runs f on another goroutine.
	Go func(f func())
	// After runs f like UI once d has passed, unless cancelled before.
	After func(d time.Duration, f func()) (cancel func())
	// Now is the clock.
	Now func() time.Time
}

// NewLoop makes a loop of real goroutines and time around ui.
func NewLoop(ui func(func())) Loop {
	return Loop{
		UI: ui,
		Go: func(f func()) { go f() },
		After: func(d time.Duration, f func()) func() {
			t := time.AfterFunc(d, func() { ui(f) })
			return func() { t.Stop() }
		},
		Now: time.Now,
	}
}

// background runs work elsewhere and gives its result to done here.
func background[T any](l Loop, work func() (T, error), done func(T, error)) {
	l.Go(func() {
		v, err := work()
		l.UI(func() { done(v, err) })
	})
}
