package main

import (
	"encoding/base64"
	"strings"

	"quicprochat/core/client"
)

type pushCommand struct {
	Register pushRegisterCommand `cmd:"" help:"Have the server wake this device through a push service (Web Push, UnifiedPush) while it is not connected."`
	Remove   pushRemoveCommand   `cmd:"" help:"Have it wake this device no more."`
	Key      pushKeyCommand      `cmd:"" help:"Print the server's public key at push services (VAPID), for distributors that ask for it."`
}

type pushRegisterCommand struct {
	URL    string `arg:"" name:"url" help:"The endpoint, an https URL."`
	P256dh string `name:"p256dh" required:"" help:"The subscription's public key, in base64url." placeholder:"KEY"`
	Auth   string `required:"" help:"The subscription's secret, in base64url." placeholder:"SECRET"`
}

func (c pushRegisterCommand) Run(s *session) error {
	endpoint := client.PushEndpoint{URL: c.URL}
	var err error
	if endpoint.Key, err = unbase64(c.P256dh); err != nil {
		return notice("The value of --p256dh is not base64url.")
	}
	if endpoint.Auth, err = unbase64(c.Auth); err != nil {
		return notice("The value of --auth is not base64url.")
	}
	me, err := s.online()
	if err != nil {
		return err
	}
	key, err := me.RegisterPush(s.ctx, endpoint)
	if err != nil {
		return err
	}
	return s.print(map[string]string{"push_key": base64url(key)}, "This device is woken through its push service while it is not connected.")
}

type pushRemoveCommand struct{}

func (pushRemoveCommand) Run(s *session) error {
	me, err := s.online()
	if err != nil {
		return err
	}
	if err := me.UnregisterPush(s.ctx); err != nil {
		return err
	}
	return s.print(map[string]bool{"push": false}, "This device is woken no more.")
}

type pushKeyCommand struct{}

func (pushKeyCommand) Run(s *session) error {
	me, err := s.online()
	if err != nil {
		return err
	}
	info, err := me.ServerInfo(s.ctx)
	if err != nil {
		return err
	}
	if len(info.PushKey) == 0 {
		return client.ErrPushDisabled
	}
	return s.print(map[string]string{"push_key": base64url(info.PushKey)}, base64url(info.PushKey))
}

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// unbase64 takes base64url with and without padding, as subscriptions come.
func unbase64(text string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
}
