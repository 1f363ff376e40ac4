// Package drive lets a script use the desktop app: one JSON object per line in,
// one per line out, in order. It is for demonstrations and smoke tests.
//
// A command goes through the same controllers as the buttons, on the UI
// goroutine. A command that has to wait does so for a state, never for a time,
// and fails after its "timeout" in seconds (30 where missing). Every line in
// {"cmd": name, …} is answered by {"ok": true, …} or {"ok": false, "error": …}
// where the error is the sentence that the screen would show.
//
//	register, login    link, name, password
//	recover            link, name, code, password → code
//	unlock             password
//	host               → link
//	start_direct       name
//	create_group       title, names
//	open               title
//	add                names
//	remove             name
//	rename             title
//	leave
//	mute, unmute       title
//	pin, unpin         title
//	block, unblock     name
//	report             text, category, note
//	change_password    password, new_password
//	recovery_code      password → code
//	delete_account     password
//	members            → members
//	type, send         text
//	wait_message       text [, conversation] [, state: waiting|sent|received|failed]
//	wait_conversation  title
//	wait_members       count
//	wait_online
//	theme              theme: light|dark|system
//	screenshot         path
//	state              → screen, me, connection, open, conversations
//	quit
package drive

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"time"

	"quicprochat/ui/controller"
)

// Command is one line of input.
type Command struct {
	Cmd          string   `json:"cmd"`
	Link         string   `json:"link"`
	Name         string   `json:"name"`
	Names        []string `json:"names"`
	Password     string   `json:"password"`
	NewPassword  string   `json:"new_password"`
	Code         string   `json:"code"`
	Category     string   `json:"category"`
	Note         string   `json:"note"`
	Title        string   `json:"title"`
	Text         string   `json:"text"`
	Conversation string   `json:"conversation"`
	State        string   `json:"state"`
	Count        int      `json:"count"`
	Theme        string   `json:"theme"`
	Path         string   `json:"path"`
	// Timeout is in seconds.
	Timeout float64 `json:"timeout"`
}

// Reply is what a command answers besides "ok".
type Reply map[string]any

// ErrTimeout is a wait that was in vain.
var ErrTimeout = errors.New("timed out")

// errQuit ends Run.
var errQuit = errors.New("quit")

const defaultTimeout = 30 * time.Second

// Driver runs commands against an App.
type Driver struct {
	App *controller.App
	// Capture takes a picture of the window once what is due has been drawn. It
	// is called on the UI goroutine and calls done there.
	Capture func(done func(image.Image))
	// Quit quits the app. It is called on the UI goroutine.
	Quit func()
}

// Run answers commands until the input ends, "quit", or the output breaks.
func (d *Driver) Run(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	enc := json.NewEncoder(out)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		reply, err := d.line(lines.Bytes())
		quit := errors.Is(err, errQuit)
		if reply == nil {
			reply = Reply{}
		}
		reply["ok"] = err == nil || quit
		if err != nil && !quit {
			reply["error"] = err.Error()
		}
		if err := enc.Encode(reply); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
		if quit {
			d.App.Loop().UI(d.Quit)
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read commands: %w", err)
	}
	return nil
}

func (d *Driver) line(line []byte) (Reply, error) {
	var c Command
	if err := json.Unmarshal(line, &c); err != nil {
		return nil, fmt.Errorf("not a command: %w", err)
	}
	run, ok := commands[c.Cmd]
	if !ok {
		return nil, fmt.Errorf("unknown command %q", c.Cmd)
	}
	return run(d, c)
}

// step looks at the app, on the UI goroutine: it returns done with the reply,
// an error, or neither to be asked again after the next thing that happens.
type step func() (reply Reply, done bool, err error)

type outcome struct {
	reply Reply
	err   error
}

// until asks step until it is done, starting now.
func (d *Driver) until(c Command, what string, step step) (Reply, error) {
	timeout := defaultTimeout
	if c.Timeout > 0 {
		timeout = time.Duration(c.Timeout * float64(time.Second))
	}
	results := make(chan outcome, 1)
	finished := false
	var cancel func()
	finish := func(o outcome) {
		if finished {
			return
		}
		finished = true
		if cancel != nil {
			cancel()
		}
		results <- o
	}
	ui := d.App.Loop().UI
	ui(func() {
		look := func() {
			if finished {
				return
			}
			if reply, done, err := step(); done || err != nil {
				finish(outcome{reply, err})
			}
		}
		cancel = d.App.Watch(look)
		look()
		if finished {
			cancel()
		}
	})
	timer := time.AfterFunc(timeout, func() {
		ui(func() { finish(outcome{nil, fmt.Errorf("%w waiting for %s", ErrTimeout, what)}) })
	})
	defer timer.Stop()
	o := <-results
	return o.reply, o.err
}

// now runs f on the UI goroutine and answers with what it returns.
func (d *Driver) now(f func() (Reply, error)) (Reply, error) {
	results := make(chan outcome, 1)
	d.App.Loop().UI(func() {
		reply, err := f()
		results <- outcome{reply, err}
	})
	o := <-results
	return o.reply, o.err
}

// form runs start once and waits until the form is done or shows a problem.
func (d *Driver) form(c Command, start func() (*controller.Form, error)) (Reply, error) {
	var f *controller.Form
	done := false
	return d.until(c, "an answer", func() (Reply, bool, error) {
		if f == nil {
			var err error
			if f, err = start(); err != nil {
				return nil, false, err
			}
			before := f.OnDone
			f.OnDone = func() {
				done = true
				if before != nil {
					before()
				}
			}
		}
		switch {
		case done:
			return nil, true, nil
		case !f.Busy() && f.Problem() != "":
			return nil, false, errors.New(f.Problem())
		default:
			return nil, false, nil
		}
	})
}

func screenshot(d *Driver, c Command) (Reply, error) {
	if c.Path == "" {
		return nil, errors.New("screenshot needs a path")
	}
	pictures := make(chan image.Image, 1)
	d.App.Loop().UI(func() { d.Capture(func(i image.Image) { pictures <- i }) })
	var picture image.Image
	select {
	case picture = <-pictures:
	case <-time.After(defaultTimeout):
		return nil, fmt.Errorf("%w waiting for a picture", ErrTimeout)
	}
	if err := os.MkdirAll(filepath.Dir(c.Path), 0o755); err != nil {
		return nil, fmt.Errorf("directory of the picture: %w", err)
	}
	f, err := os.Create(c.Path)
	if err != nil {
		return nil, fmt.Errorf("create the picture: %w", err)
	}
	if err := errors.Join(png.Encode(f, picture), f.Close()); err != nil {
		return nil, fmt.Errorf("write the picture: %w", err)
	}
	return Reply{"path": c.Path}, nil
}
