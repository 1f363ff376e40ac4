package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"quicprochat/core/tokens"
	"quicprochat/core/vault"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

const (
	// tokenBatch is how many tokens are fetched at a time, always: a number that
	// somebody needs would tell what for. fewTokens is when, besides once a day.
	tokenBatch = 24
	fewTokens  = 8
	// Tokens are fetched at a random time, so that fetching tells nothing of
	// spending: within topUpDelay once they are few, within refreshDelay once a day
	// has begun, whose tokens take the place of those that run out.
	topUpDelay   = 30 * time.Minute
	refreshDelay = 6 * time.Hour
	// tokenClock is how far this device's clock and the server's may be apart.
	tokenClock = 12 * time.Hour
	// keptTokenKeys is of how many days the keys are remembered.
	keptTokenKeys = 8

	settingTokens = "send tokens"
)

var (
	// errNoTokens says that there are too few tokens in the vault.
	errNoTokens = errors.New("client: too few tokens")
	// errTokenKey says that the server showed two keys of one day, which would let
	// it recognise tokens.
	errTokenKey = fmt.Errorf("%w: two keys for the tokens of one day", ErrServer)
	// errTokenDay says that the server showed the key of a day that it cannot be. The
	// day is told to the server on both connections and with every token: free to
	// choose, it would be a name for whoever was shown it.
	errTokenDay = fmt.Errorf("%w: a key for the tokens of another day", ErrClock)
)

// purse is the tokens in the vault. The vault is their place: what a transaction
// takes out is gone only with what it pays for.
type purse struct {
	// Keys are those that the server has shown, by day.
	Keys   []tokenKey `json:"keys,omitempty"`
	Tokens [][]byte   `json:"tokens,omitempty"`
	// Fetched is the day, by this device's clock, on which tokens were fetched last.
	Fetched uint32 `json:"fetched,omitempty"`
}

type tokenKey struct {
	ID     uint32 `json:"id"`
	Public []byte `json:"public"`
}

// wallet gets tokens from the server.
type wallet struct {
	fetching sync.Mutex
	// due is when tokens are fetched that nobody waits for, chosen within a time;
	// zero: not decided.
	due    time.Time
	within time.Duration
}

// tokenDay is the day of a time, as keys are numbered.
func tokenDay(t time.Time) uint32 { return uint32(max(0, t.Unix()) / (24 * 60 * 60)) }

func loadPurse(tx *vault.Tx) (purse, error) {
	var p purse
	raw, err := tx.Setting(settingTokens)
	if errors.Is(err, vault.ErrNotFound) {
		return p, nil
	} else if err != nil {
		return p, err
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return p, fmt.Errorf("%w: tokens: %w", ErrProfileCorrupt, err)
	}
	return p, nil
}

func (p purse) save(tx *vault.Tx) error {
	raw, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return tx.PutSetting(settingTokens, raw)
}

// discardOld drops tokens that the server takes no longer, by the last key that it
// has shown and by this device's clock.
func (p *purse) discardOld(now time.Time) {
	if len(p.Keys) == 0 {
		p.Tokens = nil
		return
	}
	newest := max(p.Keys[len(p.Keys)-1].ID, tokenDay(now))
	p.Tokens = slices.DeleteFunc(p.Tokens, func(b []byte) bool {
		t, err := tokens.Parse(b)
		return err != nil || t.KeyID+1 < newest
	})
}

// learn remembers a day's key, and refuses another for the same day, and any of a
// day that it is not.
func (p *purse) learn(k *qpcv1.TokenKey, now time.Time) error {
	if k.Id < tokenDay(now.Add(-tokenClock)) || k.Id > tokenDay(now.Add(tokenClock)) {
		return errTokenDay
	}
	i, known := slices.BinarySearchFunc(p.Keys, k.Id, func(known tokenKey, id uint32) int { return cmp.Compare(known.ID, id) })
	if known {
		if !bytes.Equal(p.Keys[i].Public, k.PublicKey) {
			return errTokenKey
		}
		return nil
	}
	p.Keys = slices.Insert(p.Keys, i, tokenKey{k.Id, k.PublicKey})
	p.Keys = p.Keys[max(0, len(p.Keys)-keptTokenKeys):]
	return nil
}

// takeTokens takes n tokens out of the vault; errNoTokens where it has fewer that
// are good now.
func takeTokens(tx *vault.Tx, n int, now time.Time) ([][]byte, error) {
	p, err := loadPurse(tx)
	if err != nil {
		return nil, err
	}
	p.discardOld(now)
	if len(p.Tokens) < n {
		return nil, errNoTokens
	}
	taken := slices.Clone(p.Tokens[:n])
	p.Tokens = p.Tokens[n:]
	return taken, p.save(tx)
}

// returnTokens puts tokens back that paid for nothing.
func returnTokens(tx *vault.Tx, list [][]byte) error {
	if len(list) == 0 {
		return nil
	}
	p, err := loadPurse(tx)
	if err != nil {
		return err
	}
	for _, token := range list {
		if !slices.ContainsFunc(p.Tokens, func(b []byte) bool { return bytes.Equal(b, token) }) {
			p.Tokens = append(p.Tokens, token)
		}
	}
	return p.save(tx)
}

// discardTokens forgets all tokens: the server has refused one of them.
func discardTokens(tx *vault.Tx) error {
	p, err := loadPurse(tx)
	if err != nil {
		return err
	}
	p.Tokens = nil
	return p.save(tx)
}

// stock tells how many tokens are good now, and whether any were fetched today.
func (c *Client) stock(ctx context.Context) (n int, today bool, err error) {
	err = c.vault.View(ctx, func(tx *vault.Tx) error {
		p, err := loadPurse(tx)
		p.discardOld(c.now())
		n, today = len(p.Tokens), p.Fetched == tokenDay(c.now())
		return err
	})
	return n, today, err
}

// ensureTokens makes sure that there are n tokens, for somebody who waits.
// ErrContactQuota, ErrBanned, ErrOffline, ErrClock.
func (c *Client) ensureTokens(ctx context.Context, n int) error {
	c.wallet.fetching.Lock()
	defer c.wallet.fetching.Unlock()
	for before := -1; ; {
		have, _, err := c.stock(ctx)
		if err != nil || have >= n {
			return err
		}
		if have <= before {
			return fmt.Errorf("%w: tokens that are over at once", ErrServer)
		}
		before = have
		err = c.fetchTokens(ctx, tokenBatch)
		if missing := n - have; errors.Is(err, ErrContactQuota) && missing < tokenBatch {
			err = c.fetchTokens(ctx, missing) // the last of the day
		}
		if err != nil {
			return err
		}
	}
}

// topUp fetches tokens that nobody waits for: once a day, and where they have become
// few, at a random time after that.
func (c *Client) topUp(ctx context.Context) error {
	c.wallet.fetching.Lock()
	defer c.wallet.fetching.Unlock()
	w := &c.wallet
	have, today, err := c.stock(ctx)
	if err != nil {
		return err
	}
	within := refreshDelay
	switch {
	case have < fewTokens:
		within = topUpDelay
	case today:
		w.due = time.Time{}
		return nil
	}
	now := c.now()
	if w.due.IsZero() || within < w.within {
		w.due, w.within = now.Add(jitter(within)), within
	}
	if now.Before(w.due) {
		return nil
	}
	w.due = time.Time{}
	err = c.fetchTokens(ctx, tokenBatch)
	if errors.Is(err, ErrContactQuota) || errors.Is(err, ErrBanned) {
		w.due, w.within = now.Add(time.Hour+jitter(time.Hour)), 0
		return nil
	}
	return err
}

// fetchTokens gets n tokens into the vault. Where a day ends meanwhile it does so with
// the next one's key.
func (c *Client) fetchTokens(ctx context.Context, n int) error {
	err := c.fetchToday(ctx, n)
	if wire.CodeOf(err) == qpcv1.ErrorCode_ERROR_CODE_TOKEN_KEY {
		err = c.fetchToday(ctx, n)
	}
	return err
}

// fetchToday gets n tokens of the server's present day. The key that they must be made with is
// asked for on the anonymous connection, where the server cannot tell who asks.
func (c *Client) fetchToday(ctx context.Context, n int) error {
	var info qpcv1.InfoResponse
	if err := c.anonymous.call(ctx, &qpcv1.InfoRequest{}, &info); err != nil {
		return err
	}
	if info.TokenKey == nil {
		return fmt.Errorf("%w: no key for tokens", ErrServerIncompatible)
	}
	if err := c.learnTokenKey(ctx, info.TokenKey); err != nil {
		return err
	}
	batch, err := tokens.NewBatch(tokens.PublicKey{ID: info.TokenKey.Id, Bytes: info.TokenKey.PublicKey}, n)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrServerIncompatible, err)
	}
	var resp qpcv1.IssueTokensResponse
	req := &qpcv1.IssueTokensRequest{Blinded: batch.Blinded(), KeyId: info.TokenKey.Id}
	if err := c.account.call(ctx, req, &resp); err != nil {
		return err
	}
	if resp.Key != nil {
		if err := c.learnTokenKey(ctx, resp.Key); err != nil { // what it tells accounts is what it tells anybody
			return err
		}
	}
	list, err := batch.Finish(resp.Evaluated, resp.Proof)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrServer, err)
	}
	return c.vault.Update(ctx, func(tx *vault.Tx) error {
		p, err := loadPurse(tx)
		if err != nil {
			return err
		}
		p.Fetched = tokenDay(c.now())
		for _, token := range list {
			p.Tokens = append(p.Tokens, token.Bytes())
		}
		return p.save(tx)
	})
}

func (c *Client) learnTokenKey(ctx context.Context, k *qpcv1.TokenKey) error {
	return c.vault.Update(ctx, func(tx *vault.Tx) error {
		p, err := loadPurse(tx)
		if err != nil {
			return err
		}
		if err := p.learn(k, c.now()); err != nil {
			return err
		}
		p.discardOld(c.now())
		return p.save(tx)
	})
}

// tokenRefused tells whether the server takes a token of a request not, or wants
// more of them; others will do.
func tokenRefused(err error) bool {
	switch wire.CodeOf(err) {
	case qpcv1.ErrorCode_ERROR_CODE_TOKEN_INVALID, qpcv1.ErrorCode_ERROR_CODE_TOKEN_KEY,
		qpcv1.ErrorCode_ERROR_CODE_TOKEN_SPENT, qpcv1.ErrorCode_ERROR_CODE_TOKEN_MISSING:
		return true
	}
	return false
}
