package client

import (
	"context"
	"fmt"
	"strings"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/opaque"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// HasProfile says whether dir holds a profile to Open.
func HasProfile(dir string) bool { return vaultExists(vaultDir(dir)) }

// Register makes an account and its first device, and the profile in o.Dir,
// which the same password unlocks. Where it fails there is no profile. The
// account may exist all the same if the connection broke at the very end: then
// the name is taken, and Login works.
//
// Errors: ErrNameInvalid, *WeakPasswordError, ErrProfileExists, ErrNameTaken,
// ErrInviteRequired, ErrInviteInvalid, ErrInviteExpired, ErrRegistrationClosed,
// and those of reaching a server.
func Register(ctx context.Context, o Options, link Link, name, password string) (*Client, error) {
	name = cleanName(name)
	if err := identity.CheckName(name); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNameInvalid, err)
	}
	if err := identity.CheckPassword(name, password); err != nil {
		return nil, err
	}
	return enter(ctx, o, link, name, password, register)
}

// Login adds this device to an account, and makes the profile in o.Dir, which
// the same password unlocks.
//
// Errors: ErrWrongPassword, ErrProfileExists, ErrTooManyDevices, and those of
// reaching a server.
func Login(ctx context.Context, o Options, link Link, name, password string) (*Client, error) {
	return enter(ctx, o, link, cleanName(name), password, login)
}

func cleanName(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// entranceTimeout bounds a registration or login: a server may answer pings but
// not calls.
const entranceTimeout = time.Minute

// entrance proves the password to the server and returns the new device, and
// what makes the server accept it.
type entrance func(ctx context.Context, e *entry) (admit func(context.Context) error, err error)

// entry is a registration or login under way.
type entry struct {
	opts     Options
	conn     *wire.Conn
	opaque   opaque.Config
	link     Link
	name     string
	password []byte
	device   *profile // made by the entrance
}

// enter makes a device. Its keys are on disk before the server learns of it,
// under a temporary name that becomes final when the server has accepted.
func enter(ctx context.Context, o Options, link Link, name, password string, how entrance) (*Client, error) {
	o, password = o.withDefaults(), identity.NormalizePassword(password)
	if HasProfile(o.Dir) {
		return nil, ErrProfileExists
	}
	ctx, cancel := context.WithTimeout(ctx, entranceTimeout)
	defer cancel()
	conn, err := wire.Dial(ctx, link, wire.DialOptions{})
	if err != nil {
		return nil, fromWire(err)
	}
	defer conn.Close()
	info, err := serverInfo(ctx, conn)
	if err != nil {
		return nil, err
	}
	e := &entry{
		opts: o, conn: conn, opaque: o.Cost.opaque(), link: link,
		name: name, password: []byte(password),
	}
	defer clear(e.password)
	admit, err := how(ctx, e)
	if err != nil {
		return nil, fromWire(err)
	}
	defer e.device.wipe()
	e.device.server = info.Name
	err = o.createProfile(ctx, e.device, password, func() error { return fromWire(admit(ctx)) })
	if err != nil {
		return nil, err
	}
	return Open(ctx, o, password)
}

// register runs OPAQUE's registration and makes the account's keys.
func register(ctx context.Context, e *entry) (func(context.Context) error, error) {
	registration, request, err := e.opaque.StartRegistration(e.password)
	if err != nil {
		return nil, err
	}
	var start qpcv1.RegisterStartResponse
	err = e.conn.Call(ctx, &qpcv1.RegisterStartRequest{
		Name: e.name, OpaqueRequest: request, InviteToken: e.link.Token,
	}, &start)
	if err != nil {
		return nil, err
	}
	id, err := identity.ParseAccountID(start.AccountId)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrServerIncompatible, err)
	}
	record, exportKey, err := registration.Finish(start.OpaqueResponse, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrServerIncompatible, err)
	}
	defer clear(exportKey)
	key, err := identity.NewAccountKey()
	if err != nil {
		return nil, err
	}
	defer key.Destroy()
	sealed, err := key.Seal(exportKey)
	if err != nil {
		return nil, err
	}
	if err := e.makeDevice(id, key); err != nil {
		return nil, err
	}
	finish := &qpcv1.RegisterFinishRequest{
		OpaqueRecord: record, AccountPublicKey: key.Public(), SealedAccountKey: sealed,
		DeviceCertificate: e.device.certificate.Raw,
	}
	return func(ctx context.Context) error {
		return e.conn.Call(ctx, finish, new(qpcv1.RegisterFinishResponse))
	}, nil
}

// login proves the password and gets the account key for it.
func login(ctx context.Context, e *entry) (func(context.Context) error, error) {
	id, key, err := proveAccount(ctx, e.conn, e.opaque, e.name, e.password)
	if err != nil {
		return nil, err
	}
	defer key.Destroy()
	if err := e.makeDevice(id, key); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error { return e.enrol(ctx, e.conn) }, nil
}

func (e *entry) enrol(ctx context.Context, conn *wire.Conn) error {
	enrol := &qpcv1.EnrolDeviceRequest{DeviceCertificate: e.device.certificate.Raw}
	return conn.Call(ctx, enrol, new(qpcv1.EnrolDeviceResponse))
}
