package controller

import (
	"context"
	"strings"
	"time"

	"quicprochat/core/client"
)

// probeDelay is how long typing must rest before a server is asked.
const probeDelay = 250 * time.Millisecond

// Welcome takes an invite link, checks it while it is typed, and asks the
// server for its name.
type Welcome struct {
	// OnChange is called when the state changed.
	OnChange func()

	loop       Loop
	sdk        SDK
	onContinue func(client.Link, client.ServerInfo)

	text    string
	link    client.Link
	valid   bool
	probing bool
	server  *client.ServerInfo
	problem string
	notice  string
	cancel  func()
	attempt int
	wanted  bool // go on as soon as the server has answered
}

// Problem says what is wrong with the link or its server.
func (w *Welcome) Problem() string { return w.problem }

// Probing says whether the server is being asked.
func (w *Welcome) Probing() bool { return w.probing }

// Server is what the server said of itself, or nil.
func (w *Welcome) Server() *client.ServerInfo { return w.server }

// CanContinue says whether the link may be tried.
func (w *Welcome) CanContinue() bool { return w.valid && !w.wanted }

// Notice is what has just happened, empty at an ordinary start.
func (w *Welcome) Notice() string { return w.notice }

// reset forgets the link and says what has happened.
func (w *Welcome) reset(notice string) {
	w.SetLink("")
	w.notice = notice
}

// SetLink takes what was typed or pasted.
func (w *Welcome) SetLink(text string) {
	text = strings.TrimSpace(text)
	if text == w.text {
		return
	}
	w.text = text
	w.attempt++
	w.probing, w.server, w.problem, w.wanted = false, nil, "", false
	if w.cancel != nil {
		w.cancel()
	}
	link, err := client.ParseLink(text)
	w.link, w.valid = link, err == nil
	switch {
	case text == "":
	case err != nil:
		w.problem = linkProblem(text)
	default:
		w.cancel = w.loop.After(probeDelay, w.probe)
	}
	w.changed()
}

// linkProblem says what is wrong with a text that is no link. Somebody who is
// still typing the beginning is not told so.
func linkProblem(text string) string {
	const scheme = "qpc://"
	if strings.HasPrefix(scheme, strings.ToLower(text)) {
		return ""
	}
	if !strings.HasPrefix(strings.ToLower(text), scheme) {
		return "An invite link begins with qpc://"
	}
	return "This invite link is not complete."
}

// Continue goes on to the account screen once the server has answered.
func (w *Welcome) Continue() {
	if !w.valid {
		if w.text == "" {
			w.problem = "Paste the invite link that you were given."
		}
		w.changed()
		return
	}
	if w.server != nil {
		w.onContinue(w.link, *w.server)
		return
	}
	w.wanted = true
	if w.cancel != nil {
		w.cancel()
	}
	if !w.probing {
		w.probe()
	}
	w.changed()
}

func (w *Welcome) probe() {
	w.attempt++
	attempt, link := w.attempt, w.link
	w.probing, w.problem = true, ""
	w.changed()
	background(w.loop, func() (client.ServerInfo, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		return w.sdk.Probe(ctx, link)
	}, func(info client.ServerInfo, err error) {
		if attempt != w.attempt { // another link was typed meanwhile
			return
		}
		w.probing = false
		wanted := w.wanted
		w.wanted = false
		if err != nil {
			w.problem = client.UserMessage(err)
			w.changed()
			return
		}
		w.server = &info
		w.changed()
		if wanted {
			w.onContinue(w.link, info)
		}
	})
}

func (w *Welcome) changed() {
	if w.OnChange != nil {
		w.OnChange()
	}
}
