package client

import (
	"context"
	"errors"
	"fmt"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// CheckRecoveryCode tells whether a text can be a recovery code, as a person
// types it: ErrRecoveryCodeInvalid where it has a mistake in it.
func CheckRecoveryCode(code string) error {
	_, err := parseRecoveryCode(code)
	return err
}

func parseRecoveryCode(text string) (*identity.RecoveryCode, error) {
	code, err := identity.ParseRecoveryCode(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecoveryCodeInvalid, err)
	}
	return code, nil
}

// CreateRecoveryCode makes a code that opens the account without its password,
// and returns it to be shown once and written down. It takes the place of an
// earlier one. Nobody else learns it, this server included.
//
// Errors: ErrPresentPassword, ErrServerUnreachable, ErrRateLimited. After a
// failure the earlier code may count or not: create one again.
func (c *Client) CreateRecoveryCode(ctx context.Context, password string) (string, error) {
	code := identity.NewRecoveryCode()
	defer code.Destroy()
	err := c.asOwner(ctx, password, func(ctx context.Context, o *owner) error {
		id := c.self.account()
		bundle := newBundle(code, id, o.key)
		return o.conn.Call(ctx, &qpcv1.StoreBundleRequest{
			Bundle: bundle, Signature: o.key.SignRecoveryStore(id, o.exporter, bundle.Verifier, bundle.Sealed),
		}, new(qpcv1.StoreBundleResponse))
	})
	if err != nil {
		return "", err
	}
	return code.Text(), nil
}

func newBundle(code *identity.RecoveryCode, id AccountID, key *identity.AccountKey) *qpcv1.RecoveryBundle {
	return &qpcv1.RecoveryBundle{Verifier: code.Verifier(), Sealed: code.Seal(id, key)}
}

// RemoveRecoveryCode makes the account's code worthless. That there is none is
// no error. Errors: those of CreateRecoveryCode.
func (c *Client) RemoveRecoveryCode(ctx context.Context, password string) error {
	return c.asOwner(ctx, password, func(ctx context.Context, o *owner) error {
		req := &qpcv1.DeleteBundleRequest{Signature: o.key.SignRecoveryDeletion(c.self.account(), o.exporter)}
		return o.conn.Call(ctx, req, new(qpcv1.DeleteBundleResponse))
	})
}

// RecoverAccount gives an account a new password by its recovery code, adds
// this device to it, and makes the profile in o.Dir, which the new password
// unlocks. The code is spent; nextCode takes its place, to be shown once and
// written down. The account's other devices go on.
//
// Where nextCode is not empty although there is an error, the account was
// recovered, but this device was not added: Login works with the new password.
//
// Errors: ErrRecoveryCodeInvalid, *WeakPasswordError, ErrWrongRecoveryCode,
// ErrRecoveryLocked, ErrRecoveryUncertain, ErrBanned, ErrProfileExists, ErrTooManyDevices,
// and those of reaching a server.
func RecoverAccount(ctx context.Context, o Options, link Link, name, code, password string) (c *Client, nextCode string, err error) {
	name = cleanName(name)
	secret, err := parseRecoveryCode(code)
	if err != nil {
		return nil, "", err
	}
	defer secret.Destroy()
	if err := identity.CheckPassword(name, password); err != nil {
		return nil, "", err
	}
	r := &recovering{code: secret, next: identity.NewRecoveryCode()}
	defer r.next.Destroy()
	c, err = enter(ctx, o, link, name, password, r.run)
	if r.done {
		nextCode = r.next.Text()
	}
	return c, nextCode, err
}

// recovering is a recovery under way.
type recovering struct {
	code, next *identity.RecoveryCode
	done       bool // the server has the new password and the next code
}

// run is an entrance: it gets the account key for the code and registers the
// new password.
func (r *recovering) run(ctx context.Context, e *entry) (func(context.Context) error, error) {
	exporter, err := e.conn.Exporter()
	if err != nil {
		return nil, err
	}
	id, key, err := r.fetch(ctx, e, exporter)
	if err != nil {
		return nil, err
	}
	defer key.Destroy()
	finish, err := r.begin(ctx, e, id, key)
	if err != nil {
		return nil, err
	}
	finish.Signature = key.SignRecovery(id, exporter, identity.RecoveredAccount{
		Record: finish.OpaqueRecord, SealedKey: finish.SealedAccountKey,
		Verifier: finish.Bundle.Verifier, Bundle: finish.Bundle.Sealed,
	})
	if err := e.makeDevice(id, key); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error { return r.finish(ctx, e, finish) }, nil
}

func (r *recovering) fetch(ctx context.Context, e *entry, exporter []byte) (AccountID, *identity.AccountKey, error) {
	var fetched qpcv1.FetchBundleResponse
	req := &qpcv1.FetchBundleRequest{Name: e.name, Proof: r.code.Prove(e.name, exporter)}
	if err := e.conn.Call(ctx, req, &fetched); err != nil {
		return AccountID{}, nil, err
	}
	id, err := identity.ParseAccountID(fetched.AccountId)
	if err != nil {
		return AccountID{}, nil, fmt.Errorf("%w: %w", ErrServerIncompatible, err)
	}
	key, err := r.code.Open(fetched.Sealed, id, fetched.AccountPublicKey)
	if err != nil {
		return AccountID{}, nil, fmt.Errorf("%w: %w", ErrServerIdentity, err)
	}
	return id, key, nil
}

// begin registers the new password up to the request that makes it count.
func (r *recovering) begin(ctx context.Context, e *entry, id AccountID, key *identity.AccountKey) (*qpcv1.RecoverAccountFinishRequest, error) {
	registration, request, err := e.opaque.StartRegistration(e.password)
	if err != nil {
		return nil, err
	}
	var start qpcv1.RecoverAccountStartResponse
	if err := e.conn.Call(ctx, &qpcv1.RecoverAccountStartRequest{OpaqueRequest: request}, &start); err != nil {
		return nil, err
	}
	record, exportKey, err := registration.Finish(start.OpaqueResponse, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrServerIncompatible, err)
	}
	defer clear(exportKey)
	sealed, err := key.Seal(exportKey)
	if err != nil {
		return nil, err
	}
	return &qpcv1.RecoverAccountFinishRequest{
		OpaqueRecord: record, SealedAccountKey: sealed, Bundle: newBundle(r.next, id, key),
	}, nil
}

// finish makes the new password count and adds the device. Where the answer is
// lost, the new password tells what became of it.
func (r *recovering) finish(ctx context.Context, e *entry, req *qpcv1.RecoverAccountFinishRequest) error {
	err := lostAnswer(e.conn.Call(ctx, req, new(qpcv1.RecoverAccountFinishResponse)))
	if err == nil {
		r.done = true
		err = fromWire(e.enrol(ctx, e.conn))
		if !errors.Is(err, ErrOffline) {
			return err
		}
	} else if !uncertain(err) {
		return err
	}
	conn, loginErr := e.logIn(ctx)
	if loginErr != nil && r.done {
		return loginErr
	} else if loginErr != nil {
		return fmt.Errorf("%w: %w", ErrRecoveryUncertain, err)
	}
	defer conn.Close()
	r.done = true
	return e.enrol(ctx, conn)
}

// logIn proves the new password on a new connection.
func (e *entry) logIn(ctx context.Context) (*wire.Conn, error) {
	conn, err := wire.Dial(ctx, e.link, wire.DialOptions{})
	if err != nil {
		return nil, err
	}
	_, key, err := proveAccount(ctx, conn, e.opaque, e.name, e.password)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	key.Destroy()
	return conn, nil
}
