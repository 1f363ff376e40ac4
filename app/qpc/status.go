package main

import (
	"context"
	"fmt"
	"strings"

	"quicprochat/core/client"
)

type statusCommand struct{}

// Run asks the server and takes nothing in.
func (statusCommand) Run(s *session) error {
	if !client.HasProfile(s.Profile) {
		return client.ErrNoProfile
	}
	password, err := s.password(false)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.Timeout)
	defer cancel()
	status, err := client.Peek(ctx, s.options(), password)
	if err != nil {
		return err
	}
	w := status.Waiting
	var oldest string
	if !w.Oldest.IsZero() {
		oldest = w.Oldest.Format("2006-01-02")
	}
	rendezvous := []string{}
	for _, link := range status.Rendezvous {
		rendezvous = append(rendezvous, link.Addr())
	}
	return s.print(struct {
		Name       string   `json:"name"`
		Server     string   `json:"server"`
		Address    string   `json:"address"`
		Rendezvous []string `json:"rendezvous"`
		Waiting    uint64   `json:"waiting"`
		Bytes      uint64   `json:"waiting_bytes"`
		Oldest     string   `json:"waiting_since,omitempty"`
		Last       uint64   `json:"last_seq"`
		Acked      uint64   `json:"acked_seq"`
	}{status.Me.Name, status.Me.Server, status.Link.Addr(), rendezvous, w.Items, w.Bytes, oldest, w.Last, w.Acked},
		statusText(status, oldest, rendezvous))
}

func statusText(status client.Status, oldest string, rendezvous []string) string {
	text := fmt.Sprintf("%s@%s, reached at %s\n", status.Me.Name, status.Me.Server, status.Link.Addr())
	if len(rendezvous) > 0 {
		text += "If it moves, these are asked: " + strings.Join(rendezvous, ", ") + "\n"
	}
	if status.Waiting.Items == 0 {
		return text + "Nothing waits for this device."
	}
	return text + fmt.Sprintf("%d items (%d bytes) wait for this device, the oldest since %s.", status.Waiting.Items, status.Waiting.Bytes, oldest)
}
