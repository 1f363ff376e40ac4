package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// stage is where the demo plays: the programs, their folders, and what has to
// be cleared away afterwards.
type stage struct {
	ctx      context.Context
	bin      string
	dir      string
	out      string
	env      []string
	began    time.Time
	link     string
	alice    *window
	bob      *window
	pictures []string
	undo     []func()
}

func (s *stage) onClear(f func()) { s.undo = append(s.undo, f) }

// clear stops what runs, the latest first.
func (s *stage) clear() {
	for _, f := range slices.Backward(s.undo) {
		f()
	}
	s.undo = nil
}

func (s *stage) say(format string, args ...any) {
	fmt.Printf("%5.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// scene is one step of the story.
type scene struct {
	title string
	play  func(*stage) error
}

var story = []scene{
	{"A server starts on loopback, and makes an invite link.", (*stage).startServer},
	{"Two windows open; Alice and Bob register.", (*stage).enter},
	{"Carol registers without a window.", (*stage).enterCarol},
	{"Alice writes to Bob, and Bob answers.", (*stage).talk},
	{"Alice makes a group with Bob and Carol, and all three write.", (*stage).talkInGroup},
	{"Screenshots.", (*stage).photograph},
}

func (s *stage) play() error {
	for _, scene := range story {
		s.say("%s", scene.title)
		if err := scene.play(s); err != nil {
			return err
		}
	}
	s.say("Everything that was sent has arrived.")
	return nil
}

func (s *stage) enter() (err error) {
	if s.alice, err = s.openWindow("alice", "light"); err != nil {
		return err
	}
	if s.bob, err = s.openWindow("bob", "dark"); err != nil {
		return err
	}
	for _, w := range []*window{s.alice, s.bob} {
		if _, err := w.do("register", fields{"link": s.link, "name": w.who, "password": password}); err != nil {
			return err
		}
		if _, err := w.do("wait_online", nil); err != nil {
			return err
		}
	}
	return nil
}

// qpc runs the terminal client as Carol.
func (s *stage) qpc(args ...string) (string, error) {
	return s.output("qpc", append([]string{args[0], "--profile", filepath.Join(s.dir, "carol"), "--json"}, args[1:]...)...)
}

func (s *stage) enterCarol() error {
	_, err := s.qpc("register", s.link, "carol")
	return err
}

// line is something said, and who says it.
type line struct {
	from *window
	text string
}

// dialogue sends each line and waits until everybody else's window has it.
func (s *stage) dialogue(in map[*window]string, lines []line) error {
	for _, l := range lines {
		if _, err := l.from.do("send", fields{"text": l.text}); err != nil {
			return err
		}
		for w, conversation := range in {
			if _, err := w.do("wait_message", fields{"text": l.text, "conversation": conversation}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *stage) talk() error {
	if _, err := s.alice.do("start_direct", fields{"name": "bob"}); err != nil {
		return err
	}
	if err := s.meet(s.bob, "alice"); err != nil {
		return err
	}
	return s.dialogue(map[*window]string{s.alice: "bob", s.bob: "alice"}, []line{
		{s.alice, "Hi Bob! I started a server at home. This goes over it."},
		{s.alice, "Nobody in between can read it, not even my own machine."},
		{s.bob, "Nice. That was quick: no phone number, just a link and a password."},
		{s.bob, "Is it slow?"},
		{s.alice, "See for yourself 🙂"},
		{s.bob, "Point taken. Shall we ask Carol about Saturday?"},
	})
}

// meet waits until a conversation has appeared in a window, and opens it.
func (s *stage) meet(w *window, title string) error {
	if _, err := w.do("wait_conversation", fields{"title": title}); err != nil {
		return err
	}
	_, err := w.do("open", fields{"title": title})
	return err
}

const groupTitle = "Saturday hike"

func (s *stage) talkInGroup() error {
	if _, err := s.alice.do("create_group", fields{"title": groupTitle, "names": []string{"bob", "carol"}}); err != nil {
		return err
	}
	if err := s.meet(s.bob, groupTitle); err != nil {
		return err
	}
	both := map[*window]string{s.alice: groupTitle, s.bob: groupTitle}
	err := s.dialogue(both, []line{
		{s.alice, "Who is in for the lake on Saturday? The train leaves at 9:12."},
		{s.bob, "Me! I bring the map."},
	})
	if err != nil {
		return err
	}
	const answer = "I'm in. (Written from a terminal.)"
	if _, err := s.qpc("send", groupTitle, answer); err != nil {
		return err
	}
	for w, conversation := range both {
		if _, err := w.do("wait_message", fields{"text": answer, "conversation": conversation}); err != nil {
			return err
		}
	}
	if err := s.dialogue(both, []line{{s.bob, "Then it is settled. See you on platform 4!"}}); err != nil {
		return err
	}
	return s.checkCarol("Who is in for the lake on Saturday? The train leaves at 9:12.", "Me! I bring the map.", answer,
		"Then it is settled. See you on platform 4!")
}

// checkCarol compares what Carol's history holds with what was said.
func (s *stage) checkCarol(want ...string) error {
	printed, err := s.qpc("history", groupTitle)
	if err != nil {
		return err
	}
	var got []string
	for dec := json.NewDecoder(strings.NewReader(printed)); dec.More(); {
		var m struct{ Kind, Text string }
		if err := dec.Decode(&m); err != nil {
			return err
		}
		if m.Kind == "text" {
			got = append(got, m.Text)
		}
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("carol has %q, not %q", got, want)
	}
	return nil
}

func (s *stage) photograph() error {
	for _, p := range []struct {
		window       *window
		conversation string
		file         string
	}{
		{s.alice, "bob", "alice-light.png"},
		{s.bob, "alice", "bob-dark.png"},
		{s.alice, groupTitle, "alice-group-light.png"},
		{s.bob, groupTitle, "bob-group-dark.png"},
	} {
		if _, err := p.window.do("open", fields{"title": p.conversation}); err != nil {
			return err
		}
		path := filepath.Join(s.out, p.file)
		if _, err := p.window.do("screenshot", fields{"path": path}); err != nil {
			return err
		}
		s.pictures = append(s.pictures, path)
	}
	return nil
}

// awaitWindows waits until both windows are closed, or the demo is ended.
func (s *stage) awaitWindows() error {
	for _, w := range []*window{s.alice, s.bob} {
		if err := w.awaitExit(); err != nil && s.ctx.Err() == nil {
			return err
		}
	}
	return errors.Join(s.ctx.Err())
}
