package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"quicprochat/core/client"
)

type reportCommand struct {
	Conversation string `arg:"" help:"Title or id of the conversation."`
	Message      string `arg:"" help:"Id of the message or its beginning, as \"qpc --json history\" shows it, or \"last\" for the newest of somebody else."`
	Category     string `help:"What is wrong: ${enum}." enum:"spam,harassment,violence,sexual,illegal,other" default:"other"`
	Note         string `help:"What to say about it."`
}

func (r reportCommand) Run(s *session) error {
	c, err := s.online()
	if err != nil {
		return err
	}
	conversation, err := s.find(r.Conversation)
	if err != nil {
		return err
	}
	message, err := r.find(s.ctx, c, conversation.ID)
	if err != nil {
		return err
	}
	if err := c.ReportMessage(s.ctx, conversation.ID, message.ID, client.Category(r.Category), r.Note); err != nil {
		return err
	}
	return s.print(struct {
		Reported string `json:"reported"`
		Sender   string `json:"sender"`
	}{hex.EncodeToString(message.ID[:]), message.SenderName},
		fmt.Sprintf("The operators now see this message of %s, and nothing else of the conversation.", message.SenderName))
}

// find walks the conversation from its end.
func (r reportCommand) find(ctx context.Context, c *client.Client, id client.ConversationID) (client.Message, error) {
	var page client.Page
	for {
		older, err := c.Messages(ctx, id, page)
		if err != nil {
			return client.Message{}, err
		}
		if len(older) == 0 {
			return client.Message{}, client.ErrUnknownMessage
		}
		for _, m := range slices.Backward(older) {
			if r.means(m) {
				return m, nil
			}
		}
		page.Before = older[0].Position
	}
}

func (r reportCommand) means(m client.Message) bool {
	if r.Message == "last" {
		return m.Kind == client.KindText && !m.Mine
	}
	return len(r.Message) >= 4 && strings.HasPrefix(hex.EncodeToString(m.ID[:]), strings.ToLower(r.Message))
}
