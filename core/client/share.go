package client

import (
	"context"
	"errors"
	"maps"

	"quicprochat/core/identity"
	"quicprochat/core/vault"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// SetMuted says whether a conversation should stay silent, on all devices of
// the account. The client goes on as before; whoever notifies the person asks
// [Conversation.Muted]. ErrUnknownConversation, ErrTooManySettings.
func (c *Client) SetMuted(ctx context.Context, id ConversationID, muted bool) error {
	return c.setConversation(ctx, id, sharedMuted, muted)
}

// SetPinned says whether a conversation comes before those that are not pinned,
// on all devices of the account. ErrUnknownConversation, ErrTooManySettings.
func (c *Client) SetPinned(ctx context.Context, id ConversationID, pinned bool) error {
	return c.setConversation(ctx, id, sharedPinned, pinned)
}

func (c *Client) setConversation(ctx context.Context, id ConversationID, kind sharedKind, on bool) error {
	if _, err := c.find(id); err != nil {
		return err
	}
	if err := c.setShared(ctx, shared{kind, id}, on); err != nil {
		return err
	}
	return c.tellConversation(ctx, id)
}

// tellConversation publishes a conversation's row as it is now.
func (c *Client) tellConversation(ctx context.Context, id ConversationID) error {
	conversation, err := c.Conversation(ctx, id)
	if errors.Is(err, ErrUnknownConversation) {
		return nil // not on disk yet: it will be told
	}
	if err == nil {
		c.events.publish(ConversationChanged{conversation})
	}
	return err
}

// SetBlocked says whether invitations of an account are declined, on all
// devices of this account, without a word to it. Conversations in which both
// are already stay as they are. ErrYourself, ErrTooManySettings.
func (c *Client) SetBlocked(ctx context.Context, account AccountID, blocked bool) error {
	if account == c.self.account() {
		return ErrYourself
	}
	if err := c.setShared(ctx, shared{sharedBlocked, account}, blocked); err != nil {
		return err
	}
	for _, v := range c.all() {
		v.mu.Lock()
		direct := v.row.Kind == vault.ConversationDirect && v.row.PeerID == account
		v.mu.Unlock()
		if direct {
			if err := c.tellConversation(ctx, v.id); err != nil {
				return err
			}
		}
	}
	return nil
}

// Blocked lists the blocked accounts, in no order. One that this device has
// not met has no name.
func (c *Client) Blocked(context.Context) ([]Contact, error) {
	var list []Contact
	for _, id := range c.shared.ids(sharedBlocked) {
		known, _ := c.people.get(id)
		list = append(list, Contact{AccountID: id, Name: known.Name})
	}
	return list, nil
}

// maxShareTries bounds how often one begins anew because another device was
// faster.
const maxShareTries = 8

// ShareSettings gets what other devices have set, and lets them know what this
// one has. The client does so by itself whenever it comes online, something is
// set, and from time to time; a caller who is about to close it may not want to
// wait for that. ErrOffline.
func (c *Client) ShareSettings(ctx context.Context) error {
	ctx, cancel := c.during(ctx)
	defer cancel()
	return c.closedOr(c.shareSettings(ctx))
}

// shareWhenDue is ShareSettings for maintenance.
func (c *Client) shareWhenDue(ctx context.Context) error {
	if !c.shared.due(c.now()) {
		return nil
	}
	return c.shareSettings(ctx)
}

func (c *Client) shareSettings(ctx context.Context) (err error) {
	c.sharing.Lock()
	defer c.sharing.Unlock()
	began := c.now()
	defer func() {
		if err == nil {
			c.shared.sharedAt(began)
		}
	}()
	changed := false
	defer func() {
		if changed {
			c.events.publish(Resync{})
		}
	}()
	for range maxShareTries {
		news, over, err := c.fetchSettings(ctx)
		changed = changed || news
		if err != nil {
			return err
		}
		done, err := c.putSettings(ctx, over)
		if done || err != nil {
			return err
		}
	}
	return ErrBusy
}

// fetchSettings takes over what the server has, where it follows what is known
// here. over is the version of what does not, and is to be written over: the
// server has gone back, such as to a backup, or has something that no device of
// the account can have meant.
func (c *Client) fetchSettings(ctx context.Context) (news bool, over *uint64, err error) {
	s := c.shared
	s.mu.RLock()
	version, known := s.version, s.base.number
	s.mu.RUnlock()
	var m qpcv1.GetVaultResponse
	if err := c.account.call(ctx, &qpcv1.GetVaultRequest{KnownVersion: version}, &m); err != nil {
		return false, nil, err
	}
	if m.Version == version {
		return false, nil, nil
	}
	if m.Version == 0 {
		return false, &m.Version, nil
	}
	base, err := openShared(c.self.vaultKey, c.self.account(), m.Version, m.Sealed)
	if err == nil && base.number > known && base.number-known > maxRevisions {
		err = errSharedSettings
	}
	if err != nil {
		c.log.Warn("shared settings on the server are unreadable and written over", "error", err)
		return false, &m.Version, nil
	}
	if base.number <= known {
		return false, &m.Version, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.merged()
	pending := maps.Clone(s.pending)
	maps.DeleteFunc(pending, func(key shared, on bool) bool { return base.on[key] == on })
	if err := c.saveShared(ctx, m.Version, base, pending); err != nil {
		return false, nil, err
	}
	return !maps.Equal(before, s.merged()), nil, nil
}

// putSettings stores what this device has changed, or what it knows over what
// the server has. done is false where another device was faster.
func (c *Client) putSettings(ctx context.Context, over *uint64) (done bool, err error) {
	s := c.shared
	s.mu.RLock()
	next, version, sent := revision{s.base.number + 1, s.merged()}, s.version+1, len(s.pending) > 0
	s.mu.RUnlock()
	if over != nil {
		version = *over + 1
	} else if !sent {
		return true, nil
	}
	sealed, err := sealShared(c.self.vaultKey, c.self.account(), version, next)
	if err != nil {
		return false, err
	}
	if len(sealed) > identity.MaxSealedVault || len(next.on) > maxShared {
		return false, ErrTooManySettings
	}
	err = c.account.call(ctx, &qpcv1.PutVaultRequest{Version: version, Sealed: sealed}, new(qpcv1.PutVaultResponse))
	if wire.CodeOf(err) == qpcv1.ErrorCode_ERROR_CODE_VAULT_CONFLICT {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	pending := maps.Clone(s.pending) // with what was set meanwhile
	maps.DeleteFunc(pending, func(key shared, on bool) bool { return next.on[key] == on })
	return len(pending) == 0, c.saveShared(ctx, version, next, pending)
}
