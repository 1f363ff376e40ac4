package main

import (
	"encoding/hex"
	"fmt"
	"strings"

	"quicprochat/core/client"
)

type groupCommand struct {
	Create  groupCreateCommand  `cmd:"" help:"Make a group."`
	Add     groupAddCommand     `cmd:"" help:"Add people."`
	Remove  groupRemoveCommand  `cmd:"" help:"Remove a person."`
	Rename  groupRenameCommand  `cmd:"" help:"Change the title."`
	Leave   groupLeaveCommand   `cmd:"" help:"Leave the group."`
	Members groupMembersCommand `cmd:"" help:"List the members."`
}

type groupCreateCommand struct {
	Title string   `arg:"" help:"Title of the group."`
	Names []string `arg:"" optional:"" help:"Whom to add."`
}

func (g groupCreateCommand) Run(s *session) error {
	c, err := s.online()
	if err != nil {
		return err
	}
	conversation, err := c.CreateGroup(s.ctx, g.Title, g.Names)
	if err != nil {
		return err
	}
	return s.printConversation(conversation)
}

type groupAddCommand struct {
	Group string   `arg:"" help:"Title or id of the group."`
	Names []string `arg:"" help:"Whom to add."`
}

func (g groupAddCommand) Run(s *session) error {
	return s.change(g.Group, func(id client.ConversationID) error {
		return s.client.AddMembers(s.ctx, id, g.Names)
	})
}

type groupRemoveCommand struct {
	Group string `arg:"" help:"Title or id of the group."`
	Name  string `arg:"" help:"Whom to remove."`
}

func (g groupRemoveCommand) Run(s *session) error {
	return s.change(g.Group, func(id client.ConversationID) error {
		members, err := s.client.Members(s.ctx, id)
		if err != nil {
			return err
		}
		for _, m := range members {
			if strings.EqualFold(m.Name, g.Name) {
				return s.client.RemoveMember(s.ctx, id, m.AccountID)
			}
		}
		return notice(fmt.Sprintf("%s is not in this group.", g.Name))
	})
}

type groupRenameCommand struct {
	Group string `arg:"" help:"Title or id of the group."`
	Title string `arg:"" help:"The new title."`
}

func (g groupRenameCommand) Run(s *session) error {
	return s.change(g.Group, func(id client.ConversationID) error {
		return s.client.Rename(s.ctx, id, g.Title)
	})
}

type groupLeaveCommand struct {
	Group string `arg:"" help:"Title or id of the group."`
}

func (g groupLeaveCommand) Run(s *session) error {
	return s.change(g.Group, func(id client.ConversationID) error {
		return s.client.Leave(s.ctx, id)
	})
}

// change does something to a group and prints how it looks afterwards.
func (s *session) change(group string, do func(client.ConversationID) error) error {
	c, err := s.online()
	if err != nil {
		return err
	}
	conversation, err := s.find(group)
	if err != nil {
		return err
	}
	if err := do(conversation.ID); err != nil {
		return err
	}
	if conversation, err = c.Conversation(s.ctx, conversation.ID); err != nil {
		return err
	}
	return s.printConversation(conversation)
}

type groupMembersCommand struct {
	Group string `arg:"" help:"Title or id of the group."`
}

func (g groupMembersCommand) Run(s *session) error {
	c, err := s.online()
	if err != nil {
		return err
	}
	conversation, err := s.find(g.Group)
	if err != nil {
		return err
	}
	members, err := c.Members(s.ctx, conversation.ID)
	if err != nil {
		return err
	}
	for _, m := range members {
		text := m.Name
		if m.Admin {
			text += " (admin)"
		}
		err := s.print(struct {
			Name    string `json:"name"`
			Account string `json:"account"`
			Admin   bool   `json:"admin"`
			Devices int    `json:"devices"`
			Me      bool   `json:"me"`
		}{m.Name, hex.EncodeToString(m.AccountID[:]), m.Admin, m.Devices, m.Me}, text)
		if err != nil {
			return err
		}
	}
	return nil
}
