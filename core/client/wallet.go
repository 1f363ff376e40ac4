package client

import (
	"bytes"
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
	// fewTokens is when tokens are fetched, until there are enoughTokens.
	fewTokens    = 8
	enoughTokens = 24
	// topUpDelay is within which tokens are fetched once they are few: at a random
	// time, so that fetching tells nothing of spending.
	topUpDelay = 30 * time.Minute
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
)

// purse is the tokens in the vault. The vault is their place: what a transaction
// takes out is gone only with what it pays for.
type purse struct {
	// Keys are those that the server has shown, the latest last.
	Keys   []tokenKey `json:"keys,omitempty"`
	Tokens [][]byte   `json:"tokens,omitempty"`
}

type tokenKey struct {
	ID     uint32 `json:"id"`
	Public []byte `json:"public"`
}

// wallet gets tokens from the server.
type wallet struct {
	fetching sync.Mutex
	// due is when tokens are fetched that nobody waits for; zero: not decided.
	due time.Time
}

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
	p.discardOld()
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
// has shown: this device's clock may be wrong.
func (p *purse) discardOld() {
	if len(p.Keys) == 0 {
		p.Tokens = nil
		return
	}
	newest := p.Keys[len(p.Keys)-1].ID
	p.Tokens = slices.DeleteFunc(p.Tokens, func(b []byte) bool {
		t, err := tokens.Parse(b)
		return err != nil || t.KeyID > newest || t.KeyID+1 < newest
	})
}

// learn remembers a day's key, and refuses another for the same day.
func (p *purse) learn(k *qpcv1.TokenKey) error {
	for i, known := range p.Keys {
		if known.ID != k.Id {
			continue
		}
		if !bytes.Equal(known.Public, k.PublicKey) {
			return errTokenKey
		}
		p.Keys = append(slices.Delete(p.Keys, i, i+1), known)
		return nil
	}
	p.Keys = append(p.Keys, tokenKey{k.Id, k.PublicKey})
	p.Keys = p.Keys[max(0, len(p.Keys)-keptTokenKeys):]
	return nil
}

// takeTokens takes n tokens out of the vault; errNoTokens where it has fewer.
func takeTokens(tx *vault.Tx, n int) ([][]byte, error) {
	p, err := loadPurse(tx)
	if err != nil {
		return nil, err
	}
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

func (c *Client) countTokens(ctx context.Context) (n int, err error) {
	err = c.vault.View(ctx, func(tx *vault.Tx) error {
		p, err := loadPurse(tx)
		n = len(p.Tokens)
		return err
	})
	return n, err
}

// ensureTokens makes sure that there are n tokens, for somebody who waits.
// ErrContactQuota, ErrBanned, ErrOffline.
func (c *Client) ensureTokens(ctx context.Context, n int) error {
	c.wallet.fetching.Lock()
	defer c.wallet.fetching.Unlock()
	for {
		have, err := c.countTokens(ctx)
		if err != nil || have >= n {
			return err
		}
		missing := n - have
		err = c.fetchTokens(ctx, min(max(missing, enoughTokens), tokens.MaxBatch))
		if errors.Is(err, ErrContactQuota) && missing < enoughTokens {
			err = c.fetchTokens(ctx, missing) // the last of the day
		}
		if err != nil {
			return err
		}
	}
}

// topUp fetches tokens that nobody waits for, at a random time after they have
// become few.
func (c *Client) topUp(ctx context.Context) error {
	c.wallet.fetching.Lock()
	defer c.wallet.fetching.Unlock()
	have, err := c.countTokens(ctx)
	if err != nil || have >= fewTokens {
		c.wallet.due = time.Time{}
		return err
	}
	now := c.now()
	if c.wallet.due.IsZero() {
		c.wallet.due = now.Add(jitter(topUpDelay))
	}
	if now.Before(c.wallet.due) {
		return nil
	}
	c.wallet.due = time.Time{}
	err = c.fetchTokens(ctx, enoughTokens-have)
	if errors.Is(err, ErrContactQuota) || errors.Is(err, ErrBanned) {
		c.wallet.due = now.Add(time.Hour + jitter(time.Hour))
		return nil
	}
	return err
}

// fetchTokens gets n tokens into the vault. The key that they must be made with is
// asked for on the anonymous connection, where the server cannot tell who asks.
func (c *Client) fetchTokens(ctx context.Context, n int) error {
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
		if err := p.learn(k); err != nil {
			return err
		}
		p.discardOld()
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
