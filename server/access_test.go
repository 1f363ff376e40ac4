package server

import (
	"context"
	"io"
	"net"
	"testing"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/proto"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

// rawConn sends bytes that wire's own client would not.
type rawConn struct {
	*quic.Conn
	t *testing.T
}

func (f *fixture) dialRaw(t *testing.T) *rawConn {
	t.Helper()
	link, err := wire.ParseLink(f.Link(nil))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	q, err := quic.DialAddr(ctx, link.Addr(), wire.ClientTLS(link.Host, link.Pin), &quic.Config{MaxIdleTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.CloseWithError(0, "") })
	return &rawConn{q, t}
}

// send sends a frame and returns the response, decoded into the error that it
// carries where its status is not OK.
func (c *rawConn) send(frame []byte) (payload []byte, err error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stream, err := c.OpenStreamSync(ctx)
	if err != nil {
		c.t.Fatalf("the connection is gone: %v", err)
	}
	_, _ = stream.Write(frame)
	_ = stream.Close()
	raw, err := io.ReadAll(stream)
	if err != nil || len(raw) < 9 {
		c.t.Fatalf("%d bytes of response, %v", len(raw), err)
	}
	if raw[0] == byte(wire.StatusOK) {
		return raw[9:], nil
	}
	var e qpcv1.Error
	if err := proto.Unmarshal(raw[9:], &e); err != nil {
		c.t.Fatal(err)
	}
	return nil, wire.NewError(e.Code, e.Message)
}

// authenticateRaw proves the device on a raw connection.
func (c *rawConn) authenticate(d *member) {
	c.t.Helper()
	state := c.ConnectionState().TLS
	exporter, err := state.ExportKeyingMaterial("EXPORTER-qpc-device-auth", nil, 32)
	if err != nil {
		c.t.Fatal(err)
	}
	req := &qpcv1.AuthenticateRequest{AccountId: d.person.id[:], DeviceId: d.id[:], Signature: signDeviceAuth(d, exporter)}
	payload, err := proto.Marshal(req)
	if err != nil {
		c.t.Fatal(err)
	}
	m, _ := wire.MethodOf(req)
	if _, err := c.send(wire.AppendRequest(nil, wire.Request{Method: m.ID, ID: 1, Payload: payload})); err != nil {
		c.t.Fatal(err)
	}
}

// healthy tells whether the connection still does what it should.
func (c *rawConn) healthy() {
	c.t.Helper()
	m, _ := wire.MethodOf(&qpcv1.HealthRequest{})
	if _, err := c.send(wire.AppendRequest(nil, wire.Request{Method: m.ID, ID: 9})); err != nil {
		c.t.Fatalf("health: %v", err)
	}
}

func TestEveryMethodHasAHandler(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	f.setRole("alice", storage.RoleAdmin)
	for _, m := range wire.Methods() {
		c := f.dialRaw(t)
		if m.Access == qpcv1.Access_ACCESS_ACCOUNT || m.Access == qpcv1.Access_ACCESS_ADMIN {
			c.authenticate(alice)
		}
		_, err := c.send(wire.AppendRequest(nil, wire.Request{Method: m.ID, ID: 1}))
		if wire.CodeOf(err) == qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_METHOD || wire.CodeOf(err) == qpcv1.ErrorCode_ERROR_CODE_INTERNAL {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
}

// Which kinds of connection may call a method is what its option says.
func TestAccessMatrix(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	login := f.dial()
	if _, err := f.tryLogin(login, "alice", alice.password); err != nil {
		t.Fatal(err)
	}
	moderator, admin := f.register("moderator"), f.register("admin")
	f.setRole("moderator", storage.RoleModerator)
	f.setRole("admin", storage.RoleAdmin)
	kinds := map[string]*conn{"anonymous": f.dial(), "account": login, "device": alice.conn, "moderator": moderator.conn, "admin": admin.conn}
	allowed := map[qpcv1.Access]map[string]bool{
		qpcv1.Access_ACCESS_OPEN:      {"anonymous": true, "account": true, "device": true, "moderator": true, "admin": true},
		qpcv1.Access_ACCESS_ACCOUNT:   {"account": true, "device": true, "moderator": true, "admin": true},
		qpcv1.Access_ACCESS_ADMIN:     {"moderator": true, "admin": true},
		qpcv1.Access_ACCESS_ANONYMOUS: {"anonymous": true},
	}
	for _, m := range wire.Methods() {
		for kind, c := range kinds {
			err := callEmpty(c, m)
			refused := wire.CodeOf(err) == qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION || wire.CodeOf(err) == qpcv1.ErrorCode_ERROR_CODE_ROLE_REQUIRED
			if may := allowed[m.Access][kind]; !may && !refused {
				t.Errorf("%s on the %s connection: %v", m.Name, kind, err)
			} else if may && refused && kind != "account" && m.Access != qpcv1.Access_ACCESS_OPEN {
				t.Errorf("%s on the %s connection is refused", m.Name, kind)
			}
		}
	}
	// The account alone is enough for its devices, and for no device's things.
	for _, tc := range []struct {
		req   proto.Message
		works bool
	}{
		{&qpcv1.ListDevicesRequest{}, true},
		{&qpcv1.EnrolDeviceRequest{}, true},
		{&qpcv1.RevokeDeviceRequest{}, true},
		{&qpcv1.ChangePasswordStartRequest{}, true},
		{&qpcv1.ChangePasswordFinishRequest{}, true},
		{&qpcv1.PutVaultRequest{}, true},
		{&qpcv1.GetVaultRequest{}, true},
		{&qpcv1.DeleteAccountRequest{}, true},
		{&qpcv1.StoreBundleRequest{}, true},
		{&qpcv1.DeleteBundleRequest{}, true},
		{&qpcv1.SubscribeRequest{}, false},
		{&qpcv1.FetchRequest{}, false},
		{&qpcv1.AckRequest{}, false},
		{&qpcv1.NewAddressRequest{Count: 1}, false},
		{&qpcv1.PeekRequest{}, false},
		{&qpcv1.RegisterPushRequest{}, false},
		{&qpcv1.UnregisterPushRequest{}, false},
		{&qpcv1.UploadKeyPackagesRequest{}, false},
		{&qpcv1.CountKeyPackagesRequest{}, false},
		{&qpcv1.UploadHybridKeyRequest{}, false},
		{&qpcv1.IssueTokensRequest{}, false},
		{&qpcv1.CreateUploadRequest{}, false},
		{&qpcv1.UploadChunkRequest{}, false},
		{&qpcv1.FinishUploadRequest{}, false},
		{&qpcv1.ReportMessageRequest{}, false},
		{&qpcv1.GetRoleRequest{}, false},
	} {
		m, _ := wire.MethodOf(tc.req)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err := login.Call(ctx, tc.req, m.Response.New().Interface())
		cancel()
		if refused := wire.CodeOf(err) == qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION; refused == tc.works {
			t.Errorf("%s without a device: %v", m.Name, err)
		}
	}
}

func callEmpty(c *conn, m wire.Method) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c.Call(ctx, m.Request.New().Interface(), m.Response.New().Interface())
}

// Garbage of every kind to every method: a typed error, and the connection
// lives on.
func TestGarbageToEveryMethod(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	f.setRole("alice", storage.RoleAdmin)
	for _, m := range wire.Methods() {
		t.Run(string(m.Name.Name()), func(t *testing.T) {
			c := f.dialRaw(t)
			if m.Access == qpcv1.Access_ACCESS_ACCOUNT || m.Access == qpcv1.Access_ACCESS_ADMIN {
				c.authenticate(alice)
			}
			size := min(200, m.MaxPayload)
			for name, frame := range map[string][]byte{
				"random":      wire.AppendRequest(nil, wire.Request{Method: m.ID, ID: 1, Payload: append([]byte{0xff}, random(size-1)...)}),
				"wrong types": wire.AppendRequest(nil, wire.Request{Method: m.ID, ID: 2, Payload: []byte{0x0a, 0x7f, 1, 2, 3}}),
				"truncated":   wire.AppendRequest(nil, wire.Request{Method: m.ID, ID: 3, Payload: random(20)})[:15],
				"trailing":    append(wire.AppendRequest(nil, wire.Request{Method: m.ID, ID: 4, Payload: nil}), 1, 2, 3),
				"header only": wire.AppendRequest(nil, wire.Request{Method: m.ID, ID: 5, Payload: make([]byte, 30)})[:10],
			} {
				if _, err := c.send(frame); wire.CodeOf(err) != qpcv1.ErrorCode_ERROR_CODE_MALFORMED {
					t.Errorf("%s: %v", name, err)
				}
			}
			c.healthy()
		})
	}
	c := f.dialRaw(t)
	if _, err := c.send(wire.AppendRequest(nil, wire.Request{Method: 0x7777, ID: 1})); wire.CodeOf(err) != qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_METHOD {
		t.Errorf("unknown method: %v", err)
	}
	c.healthy()
}

// Bodies that are signed but not what they should be.
func TestGarbageInsideSignedRequests(t *testing.T) {
	f := start(t)
	anon := f.dial()
	for _, body := range [][]byte{nil, {0xff}, random(50), {0x0a, 0x10}} {
		for _, req := range []proto.Message{
			&qpcv1.PostRequest{Body: body, Signature: random(64)},
			&qpcv1.CommitRequest{Body: body, Signature: random(64)},
			&qpcv1.GetChannelRequest{Body: body, Signature: random(64)},
			&qpcv1.DeleteChannelRequest{Body: body, Signature: random(64)},
		} {
			m, _ := wire.MethodOf(req)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			err := anon.Call(ctx, req, m.Response.New().Interface())
			cancel()
			wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
		}
	}
}

// Datagrams that are no QUIC at all disturb nobody.
func TestGarbageDatagrams(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	socket, err := net.Dial("udp", f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for n := range 200 {
		_, _ = socket.Write(random(n + 1))
	}
	alice.subscribe(0)
	f.dialRaw(t).healthy()
}
