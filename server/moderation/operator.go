package moderation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"quicprochat/core/identity"
	"quicprochat/server/storage"
)

// ErrUnknownUser: nobody has this name.
var ErrUnknownUser = errors.New("nobody here has this name")

// User is an account as those see it who have the server's files.
type User struct {
	ID   identity.AccountID
	Name string
	Role storage.Role
	// CreatedDay is in seconds since 1970, a multiple of a day.
	CreatedDay uint64
	// Devices is how many it has; -1 in lists.
	Devices int
	// Banned tells whether it is banned now; Until is then the end, zero for
	// none, and Reason what was noted.
	Banned bool
	Until  time.Time
	Reason string
}

// Users lists accounts in the order of their names, from the one behind a name
// on, at most limit.
func (s *Service) Users(ctx context.Context, after string, limit int) ([]User, error) {
	accounts, err := s.Store.Accounts(ctx, after, limit)
	if err != nil {
		return nil, fmt.Errorf("listing accounts: %w", err)
	}
	users := make([]User, len(accounts))
	for i, a := range accounts {
		if users[i], err = s.user(a); err != nil {
			return nil, err
		}
	}
	return users, nil
}

// User finds an account by its name in any case. ErrUnknownUser.
func (s *Service) User(ctx context.Context, name string) (User, error) {
	a, err := s.find(ctx, name)
	if err != nil {
		return User{}, err
	}
	u, err := s.user(a)
	if err != nil {
		return User{}, err
	}
	devices, err := s.Store.Devices(ctx, a.ID)
	if err != nil {
		return User{}, fmt.Errorf("listing devices: %w", err)
	}
	u.Devices = len(devices)
	return u, nil
}

func (s *Service) user(a storage.Account) (User, error) {
	u := User{ID: a.ID, Name: a.Name, Role: a.Role, CreatedDay: a.CreatedDay, Devices: -1, Banned: a.Banned(s.Now())}
	if !u.Banned {
		return u, nil
	}
	var err error
	u.Until = a.Ban.Until
	u.Reason, err = s.sealer.openReason(a.ID, a.Ban.Reason)
	return u, err
}

func (s *Service) find(ctx context.Context, name string) (storage.Account, error) {
	a, err := s.Store.AccountByName(ctx, strings.ToLower(name))
	switch {
	case errors.Is(err, storage.ErrUnknownAccount):
		return a, ErrUnknownUser
	case err != nil:
		return a, fmt.Errorf("looking for the name: %w", err)
	}
	return a, nil
}

// SetRole gives an account a role. It works from its next call on.
// ErrUnknownUser.
func (s *Service) SetRole(ctx context.Context, name string, role storage.Role) error {
	a, err := s.find(ctx, name)
	if err != nil {
		return err
	}
	if err := s.Store.SetRole(ctx, a.ID, role); err != nil {
		return fmt.Errorf("setting the role: %w", err)
	}
	return nil
}

// Ban bans an account until a time, or until the ban is lifted where that is
// zero. ErrUnknownUser, or a *wire.Error whose message says why not.
func (s *Service) Ban(ctx context.Context, name string, until time.Time, reason string) error {
	a, err := s.find(ctx, name)
	if err != nil {
		return err
	}
	return s.ban(ctx, a.ID, nil, until, reason)
}

// Unban lifts a ban. An account without one is no error. ErrUnknownUser.
func (s *Service) Unban(ctx context.Context, name string) error {
	a, err := s.find(ctx, name)
	if err != nil {
		return err
	}
	if err := s.Store.UnbanAccount(ctx, a.ID, nil, s.Now()); err != nil {
		return fmt.Errorf("lifting the ban: %w", err)
	}
	return nil
}
