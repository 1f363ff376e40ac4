package server

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"quicprochat/core/wire"
	"quicprochat/server/auth"
	"quicprochat/server/storage"
)

const (
	// labelDigits is how much of an invite's hash stands for it.
	labelDigits = 8
	// maxInvites bounds how many invites are looked through.
	maxInvites = 10_000
)

// ErrInviteAmbiguous: a label stands for more than one invite.
var ErrInviteAmbiguous = errors.New("server: the label stands for more than one invite: give the link instead")

// Invite is an invite that can be used.
type Invite struct {
	// Label names the invite to its operator: 8 hexadecimal digits of its
	// token's hash, of no use to anybody else.
	Label string `json:"label"`
	// UsesLeft is how many accounts can still be created with it.
	UsesLeft int       `json:"uses_left"`
	Expires  time.Time `json:"expires"`
	// Role is what those who register with it become.
	Role string `json:"role"`
}

func label(hash storage.InviteHash) string { return hex.EncodeToString(hash[:])[:labelDigits] }

// Invites lists the invites that can be used, those that expire first first.
func (s *Server) Invites(ctx context.Context) ([]Invite, error) {
	stored, err := s.store.Invites(ctx, s.now(), maxInvites)
	if err != nil {
		return nil, fmt.Errorf("listing invites: %w", err)
	}
	all := make([]Invite, len(stored))
	for i, invite := range stored {
		all[i] = Invite{label(invite.Hash), invite.Uses, invite.Expires, invite.Role.String()}
	}
	return all, nil
}

// RevokeInvite ends an invite, named by its label or its link, for those who
// have not used it. storage.ErrInviteUnknown, ErrInviteAmbiguous.
func (s *Server) RevokeInvite(ctx context.Context, name string) error {
	hash, err := s.findInvite(ctx, name)
	if err != nil {
		return err
	}
	return s.store.DeleteInvite(ctx, hash)
}

func (s *Server) findInvite(ctx context.Context, name string) (hash storage.InviteHash, err error) {
	if link, err := wire.ParseLink(name); err == nil && len(link.Token) > 0 {
		return auth.HashInvite(link.Token), nil
	}
	stored, err := s.store.Invites(ctx, s.now(), maxInvites)
	if err != nil {
		return hash, fmt.Errorf("looking for the invite: %w", err)
	}
	found := 0
	for _, invite := range stored {
		if label(invite.Hash) == strings.ToLower(name) {
			hash = invite.Hash
			found++
		}
	}
	switch found {
	case 0:
		return hash, storage.ErrInviteUnknown
	case 1:
		return hash, nil
	}
	return hash, ErrInviteAmbiguous
}
