package client

import (
	"context"
	"errors"
	"fmt"

	"quicprochat/core/identity"
	"quicprochat/core/opaque"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// proveAccount runs OPAQUE's login on conn, which then belongs to the account,
// and opens the account key with what it exports. ErrWrongPassword.
func proveAccount(ctx context.Context, conn *wire.Conn, config opaque.Config, name string, password []byte) (AccountID, *identity.AccountKey, error) {
	attempt, start, err := startLogin(ctx, conn, config, name, password)
	if err != nil {
		return AccountID{}, nil, err
	}
	ke3, exportKey, err := finishLogin(attempt, start.Ke2)
	if err != nil {
		return AccountID{}, nil, err
	}
	defer clear(exportKey)
	var finish qpcv1.LoginFinishResponse
	if err := conn.Call(ctx, &qpcv1.LoginFinishRequest{Ke3: ke3}, &finish); err != nil {
		return AccountID{}, nil, err
	}
	id, err := identity.ParseAccountID(start.AccountId)
	if err != nil {
		return AccountID{}, nil, fmt.Errorf("%w: %w", ErrServerIncompatible, err)
	}
	key, err := identity.OpenAccountKey(finish.SealedAccountKey, exportKey, finish.AccountPublicKey)
	if err != nil {
		return AccountID{}, nil, fmt.Errorf("%w: %w", ErrServerIdentity, err)
	}
	return id, key, nil
}

func startLogin(ctx context.Context, conn *wire.Conn, config opaque.Config, name string, password []byte) (*opaque.ClientLogin, *qpcv1.LoginStartResponse, error) {
	attempt, ke1, err := config.StartLogin(password)
	if err != nil {
		return nil, nil, err
	}
	start := new(qpcv1.LoginStartResponse)
	return attempt, start, conn.Call(ctx, &qpcv1.LoginStartRequest{Name: name, Ke1: ke1}, start)
}

// finishLogin is ErrWrongPassword where the server's answer does not fit the
// password.
func finishLogin(attempt *opaque.ClientLogin, ke2 []byte) (ke3, exportKey []byte, err error) {
	ke3, sessionKey, exportKey, err := attempt.Finish(ke2, nil, nil)
	if errors.Is(err, opaque.ErrAuthentication) {
		return nil, nil, fmt.Errorf("%w: %w", ErrWrongPassword, err)
	} else if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrServerIncompatible, err)
	}
	clear(sessionKey)
	return ke3, exportKey, nil
}

// owner is a connection that has proved the account by its password, and the
// account key. It is used and closed at once.
type owner struct {
	conn     *wire.Conn
	key      *identity.AccountKey
	exporter []byte
}

// prove makes an owner of who knows the account's password: ErrPresentPassword
// otherwise.
func (c *Client) prove(ctx context.Context, password string) (*owner, error) {
	conn, err := wire.Dial(ctx, c.self.link, wire.DialOptions{})
	if err != nil {
		return nil, fromWire(err)
	}
	secret := []byte(identity.NormalizePassword(password))
	defer clear(secret)
	id, key, err := proveAccount(ctx, conn, c.opts.Cost.opaque(), c.self.name, secret)
	if err != nil {
		return nil, errors.Join(presentPassword(fromWire(err)), conn.Close())
	}
	o := &owner{conn: conn, key: key}
	if o.exporter, err = conn.Exporter(); err != nil {
		return nil, errors.Join(err, o.close())
	}
	if id != c.self.account() || !key.Public().Equal(c.self.certificate.AccountKey) {
		return nil, errors.Join(&keyChangedError{c.self.account()}, o.close())
	}
	return o, nil
}

func (o *owner) close() error {
	o.key.Destroy()
	return o.conn.Close()
}

// asOwner does something that takes the account's password, and does it again
// where the connection was lost: what it does may be done twice.
func (c *Client) asOwner(ctx context.Context, password string, do func(context.Context, *owner) error) error {
	ctx, cancel := c.during(ctx)
	defer cancel()
	ctx, cancelTimeout := context.WithTimeout(ctx, entranceTimeout)
	defer cancelTimeout()
	const tries = 3
	for try := 1; ; try++ {
		o, err := c.prove(ctx, password)
		if err == nil {
			err = fromWire(do(ctx, o))
			_ = o.close()
		}
		if err == nil || !errors.Is(err, ErrOffline) || try == tries {
			return c.closedOr(err)
		}
	}
}

// knowsPassword asks the server whether this is the account's password, and
// goes no further than it takes to know.
func (c *Client) knowsPassword(ctx context.Context, password []byte) (bool, error) {
	conn, err := wire.Dial(ctx, c.self.link, wire.DialOptions{})
	if err != nil {
		return false, fromWire(err)
	}
	defer conn.Close()
	attempt, start, err := startLogin(ctx, conn, c.opts.Cost.opaque(), c.self.name, password)
	if err != nil {
		return false, fromWire(err)
	}
	_, exportKey, err := finishLogin(attempt, start.Ke2)
	clear(exportKey)
	if errors.Is(err, ErrWrongPassword) {
		return false, nil
	}
	return err == nil, err
}

// presentPassword names a wrong password for who is logged in already: the name
// cannot be the mistake.
func presentPassword(err error) error {
	if errors.Is(err, ErrWrongPassword) {
		return fmt.Errorf("%w: %w", ErrPresentPassword, err)
	}
	return err
}
