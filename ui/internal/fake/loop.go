package fake

import (
	"sync"
	"testing"
	"time"

	"quicprochat/ui/controller"
)

// Loop is a controller.Loop that the test turns: functions for the UI wait
// until [Loop.Until] runs them on the test's goroutine. Time stands still but
// for [Loop.Advance].
type Loop struct {
	t     testing.TB
	queue chan func()

	mu     sync.Mutex
	now    time.Time
	timers []*timer
}

type timer struct {
	at   time.Time
	f    func()
	done bool
}

// NewLoop makes a loop at that time.
func NewLoop(t testing.TB, now time.Time) *Loop {
	return &Loop{t: t, queue: make(chan func(), 4096), now: now}
}

// Controller is the loop as controllers want it.
func (l *Loop) Controller() controller.Loop {
	return controller.Loop{
		UI:    func(f func()) { l.queue <- f },
		Go:    func(f func()) { go f() },
		After: l.after,
		Now: func() time.Time {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.now
		},
	}
}

func (l *Loop) after(d time.Duration, f func()) func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := &timer{at: l.now.Add(d), f: f}
	l.timers = append(l.timers, t)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		t.done = true
	}
}

// Advance moves the clock and runs what became due, in order.
func (l *Loop) Advance(d time.Duration) {
	l.mu.Lock()
	end := l.now.Add(d)
	l.mu.Unlock()
	for {
		l.mu.Lock()
		var next *timer
		for _, t := range l.timers {
			if !t.done && !t.at.After(end) && (next == nil || t.at.Before(next.at)) {
				next = t
			}
		}
		if next == nil {
			l.now = end
			l.mu.Unlock()
			return
		}
		next.done, l.now = true, next.at
		l.mu.Unlock()
		next.f()
	}
}

// Until runs what is meant for the UI until cond holds, and fails the test if
// it does not within ten seconds.
func (l *Loop) Until(what string, cond func() bool) {
	l.t.Helper()
	deadline := time.After(10 * time.Second)
	for !cond() {
		select {
		case f := <-l.queue:
			f()
		case <-deadline:
			l.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// Drain runs what is waiting for the UI right now.
func (l *Loop) Drain() {
	for {
		select {
		case f := <-l.queue:
			f()
		default:
			return
		}
	}
}
