package server

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

func publicOf(private ed25519.PrivateKey) ed25519.PublicKey {
	return private.Public().(ed25519.PublicKey)
}

// goodbye waits for c's end and returns the reason that the server gave.
func (c *conn) goodbye() qpcv1.Goodbye_Reason {
	c.t.Helper()
	select {
	case <-c.Done():
	case <-time.After(patience):
		c.t.Fatal("the connection stays")
	}
	closed, ok := errors.AsType[*wire.ClosedError](c.Err())
	if !ok {
		c.t.Fatalf("ended with %v", c.Err())
	}
	return closed.Goodbye
}

func TestEnrolAfterLogin(t *testing.T) {
	f := start(t)
	first := f.register("alice")
	c := f.dial()
	p, err := f.tryLogin(c, "alice", first.password)
	if err != nil {
		t.Fatal(err)
	}
	// The account is proved, a device is not.
	_, err = call[qpcv1.SubscribeResponse](c, &qpcv1.SubscribeRequest{})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION)

	second := f.newDevice(p)
	for range 2 { // again changes nothing
		enrolled := must[qpcv1.EnrolDeviceResponse](c, &qpcv1.EnrolDeviceRequest{DeviceCertificate: second.cert.Raw})
		if !bytes.Equal(enrolled.DeviceId, second.id[:]) {
			t.Error("another device id")
		}
	}
	second.conn = c
	if err := second.authenticate(c); err != nil {
		t.Fatal(err)
	}
	second.subscribe(0)

	devices := must[qpcv1.ListDevicesResponse](c, &qpcv1.ListDevicesRequest{}).Devices
	if len(devices) != 2 || !bytes.Equal(devices[0].DeviceId, first.id[:]) || !bytes.Equal(devices[1].DeviceCertificate, second.cert.Raw) ||
		devices[0].EnrolledDay == 0 || devices[0].EnrolledDay%86400 != 0 {
		t.Errorf("devices: %v", devices)
	}
}

func TestEnrolRefusals(t *testing.T) {
	f := start(t, func(c *Config) { c.Limits.DevicesPerAccount = 2 })
	alice, bob := f.register("alice"), f.register("bob")
	foreign := f.newDevice(bob.person)
	expired, err := alice.key.IssueCertificate(alice.person.id, publicOf(foreign.private), "x", time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	bobsKey, err := alice.key.IssueCertificate(alice.person.id, publicOf(bob.private), "x", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range [][]byte{nil, random(100), foreign.cert.Raw, expired.Raw, bobsKey.Raw} {
		_, err := call[qpcv1.EnrolDeviceResponse](alice.conn, &qpcv1.EnrolDeviceRequest{DeviceCertificate: raw})
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_CERTIFICATE_INVALID)
	}
	must[qpcv1.EnrolDeviceResponse](alice.conn, &qpcv1.EnrolDeviceRequest{DeviceCertificate: f.newDevice(alice.person).cert.Raw})
	_, err = call[qpcv1.EnrolDeviceResponse](alice.conn, &qpcv1.EnrolDeviceRequest{DeviceCertificate: f.newDevice(alice.person).cert.Raw})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_TOO_MANY_DEVICES)
}

func TestAuthenticateRefusals(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	stranger := f.newDevice(alice.person) // never enrolled
	c := f.dial()
	exporter, err := c.Exporter()
	if err != nil {
		t.Fatal(err)
	}
	otherExporter, err := f.dial().Exporter()
	if err != nil {
		t.Fatal(err)
	}
	sign := func(d *member, exporter []byte) []byte {
		return identity.SignDeviceAuth(d.private, d.person.id, d.id, exporter)
	}
	for name, tc := range map[string]struct {
		req  *qpcv1.AuthenticateRequest
		want qpcv1.ErrorCode
	}{
		"another connection's exporter": {&qpcv1.AuthenticateRequest{AccountId: alice.person.id[:], DeviceId: alice.id[:], Signature: sign(alice, otherExporter)}, qpcv1.ErrorCode_ERROR_CODE_DEVICE_REFUSED},
		"another's signature":           {&qpcv1.AuthenticateRequest{AccountId: alice.person.id[:], DeviceId: alice.id[:], Signature: sign(bob, exporter)}, qpcv1.ErrorCode_ERROR_CODE_DEVICE_REFUSED},
		"no signature":                  {&qpcv1.AuthenticateRequest{AccountId: alice.person.id[:], DeviceId: alice.id[:]}, qpcv1.ErrorCode_ERROR_CODE_DEVICE_REFUSED},
		"another's device":              {&qpcv1.AuthenticateRequest{AccountId: alice.person.id[:], DeviceId: bob.id[:], Signature: sign(bob, exporter)}, qpcv1.ErrorCode_ERROR_CODE_DEVICE_REFUSED},
		"unknown device":                {&qpcv1.AuthenticateRequest{AccountId: alice.person.id[:], DeviceId: stranger.id[:], Signature: sign(stranger, exporter)}, qpcv1.ErrorCode_ERROR_CODE_DEVICE_REFUSED},
		"unknown account":               {&qpcv1.AuthenticateRequest{AccountId: random(16), DeviceId: alice.id[:], Signature: sign(alice, exporter)}, qpcv1.ErrorCode_ERROR_CODE_DEVICE_REFUSED},
		"short account id":              {&qpcv1.AuthenticateRequest{AccountId: random(15), DeviceId: alice.id[:], Signature: sign(alice, exporter)}, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"no device id":                  {&qpcv1.AuthenticateRequest{AccountId: alice.person.id[:]}, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
	} {
		_, err := call[qpcv1.AuthenticateResponse](c, tc.req)
		if wire.CodeOf(err) != tc.want {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
	// The connection is none the worse for it.
	if err := alice.authenticate(c); err != nil {
		t.Errorf("then: %v", err)
	}
	// It belongs to the device now.
	wantCode(t, bob.authenticate(c), qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION)
	if err := alice.authenticate(c); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestAuthenticateAfterTheCertificateExpired(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	f.clock.advance(400 * 24 * time.Hour)
	c := f.dial()
	wantCode(t, alice.authenticate(c), qpcv1.ErrorCode_ERROR_CODE_CERTIFICATE_INVALID)
	// A password and a new certificate bring the same device back.
	p, err := f.tryLogin(f.dial(), "alice", alice.password)
	if err != nil {
		t.Fatal(err)
	}
	login := f.dial()
	if _, err := f.tryLogin(login, "alice", alice.password); err != nil {
		t.Fatal(err)
	}
	now := f.clock.now()
	cert, err := p.key.IssueCertificate(p.id, publicOf(alice.private), "again", now.Add(-time.Hour), now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	must[qpcv1.EnrolDeviceResponse](login, &qpcv1.EnrolDeviceRequest{DeviceCertificate: cert.Raw})
	if err := alice.authenticate(c); err != nil {
		t.Error(err)
	}
}

func TestNewConnectionReplacesTheOld(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	alice.subscribe(0)
	r := newRoom(f, alice, bob)
	old := alice.conn
	f.reconnect(alice)
	if reason := old.goodbye(); reason != qpcv1.Goodbye_REASON_REPLACED {
		t.Errorf("goodbye: %v", reason)
	}
	alice.subscribe(0)
	item := r.post([]byte("to the new one"))
	if got := alice.next(); !bytes.Equal(got.ItemId, item) {
		t.Error("another item")
	}
	if len(old.pushed) != 0 {
		t.Error("the old connection got something")
	}
	// Bob's connection is not touched.
	bob.subscribe(0)
}

func TestRevokeEndsConnectionsAndComesNotBack(t *testing.T) {
	f := start(t)
	first := f.register("alice")
	second := f.newDevice(first.person)
	must[qpcv1.EnrolDeviceResponse](first.conn, &qpcv1.EnrolDeviceRequest{DeviceCertificate: second.cert.Raw})
	f.reconnect(second)
	second.subscribe(0)

	for range 2 { // again changes nothing
		must[qpcv1.RevokeDeviceResponse](first.conn, &qpcv1.RevokeDeviceRequest{DeviceId: second.id[:]})
	}
	if reason := second.goodbye(); reason != qpcv1.Goodbye_REASON_REVOKED {
		t.Errorf("goodbye: %v", reason)
	}
	wantCode(t, second.authenticate(f.dial()), qpcv1.ErrorCode_ERROR_CODE_DEVICE_REVOKED)
	_, err := call[qpcv1.EnrolDeviceResponse](first.conn, &qpcv1.EnrolDeviceRequest{DeviceCertificate: second.cert.Raw})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_DEVICE_REVOKED)
	if devices := must[qpcv1.ListDevicesResponse](first.conn, &qpcv1.ListDevicesRequest{}).Devices; len(devices) != 1 {
		t.Errorf("%d devices are left", len(devices))
	}
	for _, id := range [][]byte{nil, random(15)} {
		_, err := call[qpcv1.RevokeDeviceResponse](first.conn, &qpcv1.RevokeDeviceRequest{DeviceId: id})
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
	}
	bob := f.register("bob")
	_, err = call[qpcv1.RevokeDeviceResponse](bob.conn, &qpcv1.RevokeDeviceRequest{DeviceId: first.id[:]})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_DEVICE_REFUSED)
}

func TestRevokingOneselfIsAnswered(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	must[qpcv1.RevokeDeviceResponse](alice.conn, &qpcv1.RevokeDeviceRequest{DeviceId: alice.id[:]})
	if reason := alice.goodbye(); reason != qpcv1.Goodbye_REASON_REVOKED {
		t.Errorf("goodbye: %v", reason)
	}
}
