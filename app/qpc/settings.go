package main

import (
	"context"
	"encoding/hex"
	"fmt"

	"quicprochat/core/client"
)

type muteCommand struct {
	Conversation string `arg:"" help:"Title or id of the conversation."`
	Off          bool   `help:"Let it be heard again."`
}

func (m muteCommand) Run(s *session) error {
	return s.set(m.Conversation, func(ctx context.Context, id client.ConversationID) error {
		return s.client.SetMuted(ctx, id, !m.Off)
	})
}

type pinCommand struct {
	Conversation string `arg:"" help:"Title or id of the conversation."`
	Off          bool   `help:"Let it go."`
}

func (p pinCommand) Run(s *session) error {
	return s.set(p.Conversation, func(ctx context.Context, id client.ConversationID) error {
		return s.client.SetPinned(ctx, id, !p.Off)
	})
}

// set changes a setting of a conversation and lets the other devices know.
func (s *session) set(what string, do func(context.Context, client.ConversationID) error) error {
	return s.change(what, func(id client.ConversationID) error {
		if err := do(s.ctx, id); err != nil {
			return err
		}
		return s.share()
	})
}

// share gets the settings of the account's devices in step.
func (s *session) share() error {
	ctx, cancel := context.WithTimeout(s.ctx, s.Timeout)
	defer cancel()
	return s.client.ShareSettings(ctx)
}

type blockCommand struct {
	Name string `arg:"" help:"Whom to block."`
	Off  bool   `help:"Take invitations again."`
}

func (b blockCommand) Run(s *session) error {
	c, err := s.online()
	if err != nil {
		return err
	}
	person, err := c.FindUser(s.ctx, b.Name)
	if err != nil {
		return err
	}
	if err := c.SetBlocked(s.ctx, person.AccountID, !b.Off); err != nil {
		return err
	}
	if err := s.share(); err != nil {
		return err
	}
	text := person.Name + " is blocked."
	if b.Off {
		text = person.Name + " is not blocked."
	}
	return s.print(map[string]any{"name": person.Name, "blocked": !b.Off}, text)
}

type blockedCommand struct{}

func (blockedCommand) Run(s *session) error {
	c, err := s.online()
	if err != nil {
		return err
	}
	if err := s.share(); err != nil {
		return err
	}
	people, err := c.Blocked(s.ctx)
	if err != nil {
		return err
	}
	for _, p := range people {
		id := hex.EncodeToString(p.AccountID[:])
		text := p.Name
		if text == "" {
			text = fmt.Sprintf("somebody (%s)", id)
		}
		if err := s.print(map[string]string{"name": p.Name, "account": id}, text); err != nil {
			return err
		}
	}
	return nil
}
