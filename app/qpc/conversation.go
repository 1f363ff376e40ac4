package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"quicprochat/core/client"
)

// conversationLine is a conversation as --json prints it.
type conversationLine struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"`
	Title   string    `json:"title"`
	State   string    `json:"state"`
	Unread  int       `json:"unread"`
	Preview string    `json:"preview"`
	Last    time.Time `json:"last"`
	Muted   bool      `json:"muted"`
	Pinned  bool      `json:"pinned"`
	Blocked bool      `json:"blocked"`
}

func (s *session) printConversation(c client.Conversation) error {
	kind := "direct"
	if c.Kind == client.KindGroup {
		kind = "group"
	}
	id := hex.EncodeToString(c.ID[:])
	text := fmt.Sprintf("%s  %-6s  %-24s", id[:8], kind, c.Title)
	if c.Unread > 0 {
		text += fmt.Sprintf("  %d unread", c.Unread)
	}
	if c.State != client.StateActive {
		text += "  (" + stateName(c.State) + ")"
	}
	for _, flag := range []struct {
		on   bool
		text string
	}{{c.Pinned, "pinned"}, {c.Muted, "muted"}, {c.Blocked, "blocked"}} {
		if flag.on {
			text += "  (" + flag.text + ")"
		}
	}
	return s.print(conversationLine{
		id, kind, c.Title, stateName(c.State), c.Unread, c.Preview, c.LastActivity, c.Muted, c.Pinned, c.Blocked,
	}, text)
}

func stateName(state client.ConversationState) string {
	switch state {
	case client.StateLeft:
		return "left"
	case client.StateRemoved:
		return "removed"
	case client.StateBroken:
		return "broken"
	default:
		return "active"
	}
}

// find is the conversation that a person means by its title, or by the
// beginning of its id where a title is ambiguous. Active ones come first.
func (s *session) find(what string) (client.Conversation, error) {
	all, err := s.client.Conversations(s.ctx)
	if err != nil {
		return client.Conversation{}, err
	}
	var matches []client.Conversation
	for _, c := range all {
		id := hex.EncodeToString(c.ID[:])
		if strings.EqualFold(c.Title, what) || (len(what) >= 4 && strings.HasPrefix(id, what)) {
			matches = append(matches, c)
		}
	}
	active := matches[:0:0]
	for _, c := range matches {
		if c.State == client.StateActive {
			active = append(active, c)
		}
	}
	if len(active) > 0 {
		matches = active
	}
	switch len(matches) {
	case 0:
		return client.Conversation{}, client.ErrUnknownConversation
	case 1:
		return matches[0], nil
	default:
		return client.Conversation{}, notice(fmt.Sprintf("%d conversations are called %q: use the id that \"qpc list\" shows.", len(matches), what))
	}
}

// findOrFetch looks without the server first, so that a queued message needs
// no connection; an invitation may still be waiting there.
func (s *session) findOrFetch(what string) (client.Conversation, error) {
	conversation, err := s.find(what)
	if !errors.Is(err, client.ErrUnknownConversation) {
		return conversation, err
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.Timeout)
	defer cancel()
	if err := s.sync(ctx); err != nil {
		return client.Conversation{}, err
	}
	return s.find(what)
}

type listCommand struct{}

func (listCommand) Run(s *session) error {
	c, err := s.online()
	if err != nil {
		return err
	}
	if err := s.share(); err != nil {
		return err
	}
	all, err := c.Conversations(s.ctx)
	if err != nil {
		return err
	}
	for _, conversation := range all {
		if err := s.printConversation(conversation); err != nil {
			return err
		}
	}
	return nil
}

type newCommand struct {
	Name string `arg:"" help:"Whom to talk to."`
}

func (n newCommand) Run(s *session) error {
	c, err := s.online()
	if err != nil {
		return err
	}
	conversation, err := c.StartDirect(s.ctx, n.Name)
	if err != nil {
		return err
	}
	return s.printConversation(conversation)
}
