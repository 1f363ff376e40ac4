package main

import (
	"encoding/hex"
	"fmt"
	"time"

	"quicprochat/core/client"
)

type moderationCommand struct {
	Role    moderationRoleCommand    `cmd:"" help:"Show your role on the server."`
	List    moderationListCommand    `cmd:"" help:"List reports, the oldest first."`
	Resolve moderationResolveCommand `cmd:"" help:"Say what came of a report."`
	Ban     moderationBanCommand     `cmd:"" help:"Keep an account out of the server."`
	Unban   moderationUnbanCommand   `cmd:"" help:"Let an account in again."`
	Banned  moderationBannedCommand  `cmd:"" help:"List who is banned."`
}

type moderationRoleCommand struct{}

func (moderationRoleCommand) Run(s *session) error {
	c, err := s.online()
	if err != nil {
		return err
	}
	role, err := c.MyRole(s.ctx)
	if err != nil {
		return err
	}
	return s.print(map[string]client.Role{"role": role}, string(role))
}

type moderationListCommand struct {
	Resolved bool `help:"Those that are resolved, instead of those that are open."`
}

func (l moderationListCommand) Run(s *session) error {
	c, err := s.online()
	if err != nil {
		return err
	}
	for after, more := uint64(0), true; more; {
		var page []client.Report
		if page, more, err = c.Operator().Reports(s.ctx, l.Resolved, after, 0); err != nil {
			return err
		}
		for _, r := range page {
			if err := s.printReport(r); err != nil {
				return err
			}
			after = r.Number
		}
		more = more && len(page) > 0
	}
	return nil
}

// reportLine is a report as --json prints it.
type reportLine struct {
	Number     uint64    `json:"number"`
	Sender     string    `json:"sender"`
	Account    string    `json:"account"`
	Text       string    `json:"text"`
	SentAt     time.Time `json:"sent_at"`
	Category   string    `json:"category"`
	Note       string    `json:"note"`
	Day        string    `json:"day"`
	Resolution string    `json:"resolution"`
	Banned     bool      `json:"banned"`
	DeviceGone bool      `json:"device_gone"`
}

func (s *session) printReport(r client.Report) error {
	line := reportLine{
		r.Number, r.SenderName, hex.EncodeToString(r.Sender[:]), r.Text, r.SentAt, string(r.Category), r.Note,
		r.Day.Format(time.DateOnly), resolutionName(r.Resolution), r.Banned, r.DeviceGone,
	}
	sender := r.SenderName
	if sender == "" {
		sender = "an account that is gone"
	}
	if r.Banned {
		sender += " (banned)"
	}
	text := fmt.Sprintf("%d  %s  %s  %s  %s\n    %s: %s", r.Number, line.Day, line.Category, line.Resolution, quoted(r.Note), sender, quoted(r.Text))
	if r.DeviceGone {
		text += "\n    The sender had revoked the device by then: somebody else may have written this."
	}
	return s.print(line, text)
}

func resolutionName(r client.Resolution) string {
	switch r {
	case client.ReportDismissed:
		return "dismissed"
	case client.ReportActed:
		return "acted"
	default:
		return "open"
	}
}

type moderationResolveCommand struct {
	Number     uint64 `arg:"" help:"Number of the report."`
	Resolution string `arg:"" help:"What came of it: ${enum}." enum:"acted,dismissed"`
}

func (r moderationResolveCommand) Run(s *session) error {
	c, err := s.online()
	if err != nil {
		return err
	}
	resolution := client.ReportDismissed
	if r.Resolution == "acted" {
		resolution = client.ReportActed
	}
	return c.Operator().Resolve(s.ctx, r.Number, resolution)
}

type moderationBanCommand struct {
	Name   string        `arg:"" help:"Whom to ban."`
	For    time.Duration `help:"For how long; 0 has no end." default:"0"`
	Reason string        `help:"For the other operators."`
}

func (b moderationBanCommand) Run(s *session) error {
	c, err := s.online()
	if err != nil {
		return err
	}
	var until time.Time
	switch {
	case b.For < 0:
		return notice("A ban ends in the future, or not at all.")
	case b.For > 0:
		until = time.Now().Add(b.For)
	}
	id, err := c.Operator().Find(s.ctx, b.Name)
	if err != nil {
		return err
	}
	return c.Operator().Ban(s.ctx, id, until, b.Reason)
}

type moderationUnbanCommand struct {
	Name string `arg:"" help:"Whom to let in."`
}

func (u moderationUnbanCommand) Run(s *session) error {
	c, err := s.online()
	if err != nil {
		return err
	}
	id, err := c.Operator().Find(s.ctx, u.Name)
	if err != nil {
		return err
	}
	return c.Operator().Unban(s.ctx, id)
}

type moderationBannedCommand struct{}

func (moderationBannedCommand) Run(s *session) error {
	c, err := s.online()
	if err != nil {
		return err
	}
	for after, more := uint64(0), true; more; {
		var page []client.Banned
		if page, more, err = c.Operator().Banned(s.ctx, after, 0); err != nil {
			return err
		}
		for _, b := range page {
			if err := s.printBanned(b); err != nil {
				return err
			}
			after = b.Number
		}
		more = more && len(page) > 0
	}
	return nil
}

func (s *session) printBanned(b client.Banned) error {
	line := struct {
		Name    string     `json:"name"`
		Account string     `json:"account"`
		Reason  string     `json:"reason"`
		Day     string     `json:"day"`
		Until   *time.Time `json:"until,omitempty"`
	}{b.Name, hex.EncodeToString(b.AccountID[:]), b.Reason, b.Day.Format(time.DateOnly), nil}
	until := "for good"
	if !b.Until.IsZero() {
		line.Until = &b.Until
		until = "until " + b.Until.Local().Format("2006-01-02 15:04")
	}
	return s.print(line, fmt.Sprintf("%s  since %s, %s  %s", b.Name, line.Day, until, quoted(b.Reason)))
}
