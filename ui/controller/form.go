package controller

import (
	"context"

	"quicprochat/core/client"
)

// Form is the state that every dialog has: it is doing something, or something
// went wrong.
type Form struct {
	// OnChange is called when Busy or Problem changed.
	OnChange func()
	// OnDone is called once what the form is for has been done.
	OnDone func()

	loop    Loop
	busy    bool
	problem string
}

// Busy says whether the form waits for an answer; it takes no input meanwhile.
func (f *Form) Busy() bool { return f.busy }

// Problem is a sentence for a person, empty when all is well.
func (f *Form) Problem() string { return f.problem }

func (f *Form) changed() {
	if f.OnChange != nil {
		f.OnChange()
	}
}

func (f *Form) fail(sentence string) {
	f.problem = sentence
	f.changed()
}

// run does work elsewhere, shows its error, or calls done.
func (f *Form) run(work func(ctx context.Context) error, done func()) {
	f.work(work, func(error) bool { return false }, done)
}

// work is run for a form with fields: place puts an error at the field that it
// is about, and says whether there is one.
func (f *Form) work(work func(ctx context.Context) error, place func(error) bool, done func()) {
	if f.busy {
		return
	}
	f.busy, f.problem = true, ""
	f.changed()
	background(f.loop, func() (struct{}, error) { return struct{}{}, work(context.Background()) }, func(_ struct{}, err error) {
		f.busy = false
		if err != nil && !place(err) {
			f.problem = client.UserMessage(err)
		}
		f.changed()
		if err != nil {
			return
		}
		if done != nil {
			done()
		}
		if f.OnDone != nil {
			f.OnDone()
		}
	})
}
