package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"quicprochat/core/wire"
	"quicprochat/server/auth"
	"quicprochat/server/storage"
)

// inviteTokenSize is in bytes.
const inviteTokenSize = 16

const (
	// labelDigits is how much of an invite's hash stands for it.
	labelDigits = 8
	// maxInvites bounds how many invites are looked through.
	maxInvites = 10_000
)

var (
	// ErrInviteTerms is returned by CreateInvite for an invite that nobody
	// could use.
	ErrInviteTerms = errors.New("server: an invite needs at least one use and a time in which it is valid")
	// ErrInviteAmbiguous: a label stands for more than one invite.
	ErrInviteAmbiguous = errors.New("server: the label stands for more than one invite: give the link instead")
)

// Invite is an invite that can be used.
type Invite struct {
	// Label names the invite to its operator: 8 hexadecimal digits of its
	// token's hash, of no use to anybody else.
	Label string `json:"label"`
	// UsesLeft is how many accounts can still be created with it.
	UsesLeft int       `json:"uses_left"`
	Expires  time.Time `json:"expires"`
}

func label(hash storage.InviteHash) string { return hex.EncodeToString(hash[:])[:labelDigits] }

// CreateInvite makes an invite for so many accounts, valid for so long, and
// returns its link. The server need not be started; another process may have
// the same database open. ErrInviteTerms.
func (s *Server) CreateInvite(ctx context.Context, uses int, ttl time.Duration) (link string, err error) {
	if uses < 1 || ttl <= 0 {
		return "", ErrInviteTerms
	}
	token := make([]byte, inviteTokenSize)
	rand.Read(token)
	err = s.store.CreateInvite(ctx, storage.Invite{Hash: auth.HashInvite(token), Uses: uses, Expires: s.now().Add(ttl)})
	if err != nil {
		return "", fmt.Errorf("storing the invite: %w", err)
	}
	return s.Link(token), nil
}

// Invites lists the invites that can be used, those that expire first first.
func (s *Server) Invites(ctx context.Context) ([]Invite, error) {
	stored, err := s.store.Invites(ctx, s.now(), maxInvites)
	if err != nil {
		return nil, fmt.Errorf("listing invites: %w", err)
	}
	all := make([]Invite, len(stored))
	for i, invite := range stored {
		all[i] = Invite{label(invite.Hash), invite.Uses, invite.Expires}
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
