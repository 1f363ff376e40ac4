package main

import (
	"context"
	"encoding/hex"
	"fmt"

	"quicprochat/core/client"
)

type registerCommand struct {
	Link string `arg:"" help:"Invite link (qpc://…)."`
	Name string `arg:"" help:"The name you want."`
}

func (c registerCommand) Run(s *session) error {
	return s.enter(client.Register, c.Link, c.Name, true)
}

type loginCommand struct {
	Link string `arg:"" help:"Link of the server (qpc://…)."`
	Name string `arg:"" help:"Your name there."`
}

func (c loginCommand) Run(s *session) error {
	return s.enter(client.Login, c.Link, c.Name, false)
}

// enter makes a profile by registering or logging in, and waits until others
// can reach it.
func (s *session) enter(
	how func(context.Context, client.Options, client.Link, string, string) (*client.Client, error),
	rawLink, name string, isNew bool,
) error {
	link, err := client.ParseLink(rawLink)
	if err != nil {
		return err
	}
	password, err := s.password(isNew)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.Timeout)
	defer cancel()
	if s.client, err = how(ctx, s.options(), link, name, password); err != nil {
		return err
	}
	if err := s.sync(ctx); err != nil {
		return err
	}
	return s.printMe()
}

type whoamiCommand struct{}

func (whoamiCommand) Run(s *session) error {
	if _, err := s.open(); err != nil {
		return err
	}
	return s.printMe()
}

func (s *session) printMe() error {
	me := s.client.Me()
	return s.print(struct {
		Name    string `json:"name"`
		Server  string `json:"server"`
		Account string `json:"account"`
		Device  string `json:"device"`
		Label   string `json:"device_name"`
	}{me.Name, me.Server, hex.EncodeToString(me.AccountID[:]), hex.EncodeToString(me.DeviceID[:]), me.DeviceName},
		fmt.Sprintf("%s@%s, this device is %q", me.Name, me.Server, me.DeviceName))
}

type contactsCommand struct{}

func (contactsCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	contacts, err := c.Contacts(s.ctx)
	if err != nil {
		return err
	}
	for _, p := range contacts {
		err := s.print(struct {
			Name    string `json:"name"`
			Account string `json:"account"`
		}{p.Name, hex.EncodeToString(p.AccountID[:])}, p.Name)
		if err != nil {
			return err
		}
	}
	return nil
}
