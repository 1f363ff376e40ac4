package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"quicprochat/core/client"
)

// messageLine is a message as --json prints it.
type messageLine struct {
	ID           string    `json:"id"`
	Conversation string    `json:"conversation"`
	Kind         string    `json:"kind"`
	Mine         bool      `json:"mine"`
	Sender       string    `json:"sender"`
	Text         string    `json:"text"`
	SentAt       time.Time `json:"sent_at"`
	State        string    `json:"state"`
}

// quoted is what somebody else wrote, for a terminal: it cannot command it, turn
// the direction of text around, or look like lines that this program prints.
func quoted(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029':
			return unicode.ReplacementChar
		}
		return r
	}, text)
	return strings.ReplaceAll(text, "\n", "\n      | ")
}

func (s *session) printMessage(m client.Message) error {
	kind, text := "text", fmt.Sprintf("%s  %s: %s", m.SentAt.Local().Format("2006-01-02 15:04"), m.SenderName, quoted(m.Text))
	if m.Kind == client.KindEvent {
		kind, text = "event", fmt.Sprintf("%s  · %s", m.SentAt.Local().Format("2006-01-02 15:04"), m.Text)
	}
	switch m.State {
	case client.StateQueued, client.StateSending:
		text += "  (waiting for the server)"
	case client.StateFailed:
		text += "  (not sent: " + m.Err + ")"
	}
	return s.print(messageLine{
		hex.EncodeToString(m.ID[:]), hex.EncodeToString(m.Conversation[:]), kind, m.Mine,
		m.SenderName, m.Text, m.SentAt, messageStateName(m.State),
	}, text)
}

func messageStateName(state client.MessageState) string {
	switch state {
	case client.StateQueued:
		return "queued"
	case client.StateSending:
		return "sending"
	case client.StateSent:
		return "sent"
	case client.StateFailed:
		return "failed"
	default:
		return "received"
	}
}

type sendCommand struct {
	Conversation string `arg:"" help:"Title or id of the conversation."`
	Text         string `arg:"" help:"What to say; - reads it from standard input."`
	NoWait       bool   `help:"Return when the message is in the local database; a later call delivers it."`
}

func (c sendCommand) Run(s *session) error {
	text := c.Text
	if text == "-" {
		b, err := io.ReadAll(io.LimitReader(os.Stdin, 1<<20))
		if err != nil {
			return err
		}
		text = strings.TrimSuffix(string(b), "\n")
	}
	sdk, err := s.open()
	if err != nil {
		return err
	}
	conversation, err := s.findOrFetch(c.Conversation)
	if err != nil {
		return err
	}
	events, cancel := sdk.Subscribe()
	defer cancel()
	message, err := sdk.Send(s.ctx, conversation.ID, text)
	if err != nil {
		return err
	}
	if !c.NoWait {
		message = s.awaitSent(events, message)
	}
	return s.printMessage(message)
}

// awaitSent follows a message until the server has it, it failed, or the
// timeout passed; in the last case it stays queued.
func (s *session) awaitSent(events <-chan client.Event, message client.Message) client.Message {
	ctx, cancel := context.WithTimeout(s.ctx, s.Timeout)
	defer cancel()
	for message.State == client.StateQueued || message.State == client.StateSending {
		select {
		case <-ctx.Done():
			return message
		case event, ok := <-events:
			if !ok {
				return message
			}
			if changed, ok := event.(client.MessageChanged); ok && changed.Message.ID == message.ID {
				message = changed.Message
			}
		}
	}
	return message
}

type historyCommand struct {
	Conversation string `arg:"" help:"Title or id of the conversation."`
	Limit        int    `short:"n" help:"How many messages, counted from the newest; 0 prints all." default:"50"`
	Offline      bool   `help:"Print what is in the local database without asking the server."`
}

func (h historyCommand) Run(s *session) error {
	open := s.online
	if h.Offline {
		open = s.open
	}
	c, err := open()
	if err != nil {
		return err
	}
	conversation, err := s.find(h.Conversation)
	if err != nil {
		return err
	}
	messages, err := h.collect(s.ctx, c, conversation.ID)
	if err != nil {
		return err
	}
	for _, m := range messages {
		if err := s.printMessage(m); err != nil {
			return err
		}
	}
	return c.MarkRead(s.ctx, conversation.ID)
}

// collect reads pages backwards from the newest until it has enough.
func (h historyCommand) collect(ctx context.Context, c *client.Client, id client.ConversationID) ([]client.Message, error) {
	var pages [][]client.Message
	var page client.Page
	for n := 0; h.Limit == 0 || n < h.Limit; {
		page.Limit = 500
		if h.Limit > 0 {
			page.Limit = min(page.Limit, h.Limit-n)
		}
		older, err := c.Messages(ctx, id, page)
		if err != nil {
			return nil, err
		}
		if len(older) == 0 {
			break
		}
		pages = append(pages, older)
		n += len(older)
		page.Before = older[0].Position
	}
	slices.Reverse(pages)
	return slices.Concat(pages...), nil
}

type watchCommand struct {
	Conversation string        `arg:"" optional:"" help:"Only this conversation (title or id)."`
	Count        int           `help:"Stop after so many messages; 0 goes on until interrupted."`
	For          time.Duration `help:"Stop after this long; 0 goes on until interrupted."`
	Mine         bool          `help:"Print one's own messages too."`
}

func (w watchCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	events, cancel := c.Subscribe()
	defer cancel()
	var only *client.ConversationID
	if w.Conversation != "" {
		conversation, err := s.findOrFetch(w.Conversation)
		if err != nil {
			return err
		}
		only = &conversation.ID
	}
	ctx := s.ctx
	if w.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.For)
		defer cancel()
	}
	return w.follow(ctx, s, events, only)
}

func (w watchCommand) follow(ctx context.Context, s *session, events <-chan client.Event, only *client.ConversationID) error {
	for seen := 0; w.Count == 0 || seen < w.Count; {
		select {
		case <-ctx.Done():
			if w.Count > 0 && errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return notice(fmt.Sprintf("Only %d of %d messages arrived in time.", seen, w.Count))
			}
			return nil
		case event, ok := <-events:
			if !ok {
				return client.ErrClosed
			}
			added, ok := event.(client.MessageAdded)
			if !ok || (added.Message.Mine && !w.Mine) || (only != nil && added.Message.Conversation != *only) {
				continue
			}
			if err := s.printMessage(added.Message); err != nil {
				return err
			}
			seen++
		}
	}
	return nil
}
