package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/opaque"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// fakeServer is a server in memory behind real QUIC, which a test can make
// misbehave.
type fakeServer struct {
	t    testing.TB
	link Link
	dir  string

	mu       sync.Mutex
	opaque   *opaque.Server
	accounts map[AccountID]*fakeAccount
	devices  map[DeviceID]*fakeDevice
	channels map[ConversationID]*fakeChannel
	mint     fakeMint
	ahead    atomic.Int64 // of the machine's clock
	// before and after run around the handler of a request, without the lock.
	// A test sets them through intercept.
	before, after func(req any)
	// strict refuses posts of past epochs.
	strict bool
	// busy tells nobody about channels.
	busy bool
	// foreign is an address that the server does not know.
	foreign []byte
	// batches are the sizes of the batches that came.
	batches []int
	// refuseKeys refuses every KeyPackage.
	refuseKeys bool
	// failLate makes decisive requests take effect and fail all the same.
	failLate bool
	// lastAdmin refuses to delete accounts.
	lastAdmin bool
	// reports are what was reported, as it came.
	reports []*qpcv1.ReportMessageRequest
	// falsify changes what the server gives out of each device.
	falsify func(*qpcv1.DeviceKeys)
}

type fakeAccount struct {
	id        AccountID
	name      string
	key       ed25519.PublicKey
	sealedKey []byte
	record    []byte
	devices   []*fakeDevice
	version   uint64 // of vault
	vault     []byte
	bundle    *qpcv1.RecoveryBundle
}

type fakeDevice struct {
	id          DeviceID
	account     *fakeAccount
	certificate []byte
	hybrid      []byte
	keyPackages [][]byte
	lastResort  []byte

	items   []*qpcv1.QueueItem
	lastSeq uint64
	peer    *wire.Peer // subscribed
	held    bool       // keeps items back
	revoked bool
}

func newFakeServer(t testing.TB) *fakeServer {
	t.Helper()
	keys, err := opaque.GenerateServerKeys()
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeServer{
		t: t, dir: t.TempDir(),
		accounts: map[AccountID]*fakeAccount{}, devices: map[DeviceID]*fakeDevice{}, channels: map[ConversationID]*fakeChannel{},
	}
	// It is noon, so that no day begins during a test.
	f.advance(36*time.Hour - time.Since(time.Now().Truncate(24*time.Hour)))
	f.mint.now = f.now
	if f.opaque, err = opaque.NewServer(CheapForTests().opaque(), keys); err != nil {
		t.Fatal(err)
	}
	cert, err := wire.LoadOrCreateCertificate(f.dir, []string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	pc, err := wire.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pin := wire.PinOf(cert)
	f.link = Link{Host: "127.0.0.1", Port: pc.LocalAddr().(*net.UDPAddr).Port, Pin: pin[:]}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- wire.Serve(ctx, pc, wire.ServerTLS(cert), f.router(), wire.ServeOptions{}) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *fakeServer) router() *wire.Router {
	r := wire.NewRouter()
	handle(r, f, f.info)
	handle(r, f, f.registerStart)
	handle(r, f, f.registerFinish)
	handle(r, f, f.loginStart)
	handle(r, f, f.loginFinish)
	handle(r, f, f.authenticate)
	handle(r, f, f.changePasswordStart)
	handle(r, f, f.changePasswordFinish)
	handle(r, f, f.deleteAccount)
	handle(r, f, f.fetchBundle)
	handle(r, f, f.recoverStart)
	handle(r, f, f.recoverFinish)
	handle(r, f, f.storeBundle)
	handle(r, f, f.getVault)
	handle(r, f, f.putVault)
	handle(r, f, f.enrol)
	handle(r, f, f.listDevices)
	handle(r, f, f.uploadKeyPackages)
	handle(r, f, f.countKeyPackages)
	handle(r, f, f.fetchKeyPackage)
	handle(r, f, f.uploadHybridKey)
	handle(r, f, f.resolveUser)
	handle(r, f, f.resolveAccount)
	handle(r, f, f.subscribe)
	handle(r, f, f.fetch)
	handle(r, f, f.ack)
	handle(r, f, f.newAddress)
	handle(r, f, f.createChannel)
	handle(r, f, f.post)
	handle(r, f, f.batchPost)
	handle(r, f, f.commit)
	handle(r, f, f.deleteChannel)
	handle(r, f, f.reportMessage)
	handle(r, f, f.getChannel)
	handle(r, f, f.fetchHybridKey)
	handle(r, f, f.issueTokens)
	handle(r, f, f.deliverSealed)
	return r
}

// handle registers a handler that runs under the lock, between the hooks.
func handle[Req, Resp any, PReq interface {
	*Req
	protoMessage
}, PResp interface {
	*Resp
	protoMessage
}](r *wire.Router, f *fakeServer, h func(*wire.Peer, *Req) (*Resp, error)) {
	wire.Handle[Req, Resp, PReq, PResp](r, func(_ context.Context, p *wire.Peer, req *Req) (*Resp, error) {
		f.mu.Lock()
		before, after := f.before, f.after
		f.mu.Unlock()
		told := requestsOf(req)
		for _, one := range told {
			if before != nil {
				before(one)
			}
		}
		resp, err := func() (*Resp, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if who, ok := p.Principal(); ok && f.accounts[AccountID(who.Account)] == nil {
				return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_DEVICE_REFUSED) // it was deleted
			}
			return h(p, req)
		}()
		for _, one := range told {
			if after != nil {
				after(one)
			}
		}
		return resp, err
	})
}

// requestsOf are the requests that the hooks are told of: of a batch, its posts.
func requestsOf(req any) []any {
	batch, ok := req.(*qpcv1.BatchPostRequest)
	if !ok {
		return []any{req}
	}
	var all []any
	for _, one := range batch.Posts {
		all = append(all, one)
	}
	return all
}

// intercept runs the hooks around every call from now on; nil for none.
func (f *fakeServer) intercept(before, after func(req any)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after = before, after
}

func refuse(code qpcv1.ErrorCode) error { return wire.NewError(code, "") }

func (f *fakeServer) info(*wire.Peer, *qpcv1.InfoRequest) (*qpcv1.InfoResponse, error) {
	return &qpcv1.InfoResponse{ServerName: "fake", Registration: qpcv1.InfoResponse_REGISTRATION_OPEN, TokenKey: f.mint.public()}, nil
}

func (f *fakeServer) byName(name string) *fakeAccount {
	for _, a := range f.accounts {
		if a.name == name {
			return a
		}
	}
	return nil
}

func (f *fakeServer) registerStart(p *wire.Peer, req *qpcv1.RegisterStartRequest) (*qpcv1.RegisterStartResponse, error) {
	if f.byName(req.Name) != nil {
		return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_NAME_TAKEN)
	}
	a := &fakeAccount{id: identity.NewAccountID(), name: req.Name}
	p.SetValue("registering", a)
	resp, err := f.opaque.RegistrationResponse(req.OpaqueRequest, a.id[:])
	return &qpcv1.RegisterStartResponse{AccountId: a.id[:], OpaqueResponse: resp}, err
}

func (f *fakeServer) registerFinish(p *wire.Peer, req *qpcv1.RegisterFinishRequest) (*qpcv1.RegisterFinishResponse, error) {
	a := p.Value("registering").(*fakeAccount)
	a.record, a.key, a.sealedKey = req.OpaqueRecord, req.AccountPublicKey, req.SealedAccountKey
	f.accounts[a.id] = a
	return &qpcv1.RegisterFinishResponse{}, f.addDevice(a, req.DeviceCertificate)
}

func (f *fakeServer) addDevice(a *fakeAccount, certificate []byte) error {
	cert, err := identity.ParseCertificate(certificate)
	if err != nil {
		return refuse(qpcv1.ErrorCode_ERROR_CODE_CERTIFICATE_INVALID)
	}
	d := &fakeDevice{id: cert.DeviceID(), account: a, certificate: certificate}
	a.devices = append(a.devices, d)
	f.devices[d.id] = d
	return nil
}

func (f *fakeServer) loginStart(p *wire.Peer, req *qpcv1.LoginStartRequest) (*qpcv1.LoginStartResponse, error) {
	a := f.byName(req.Name)
	if a == nil {
		a = &fakeAccount{id: identity.NewAccountID()}
	}
	login, ke2, err := f.opaque.StartLogin(req.Ke1, a.id[:], a.record, nil, nil)
	if err != nil {
		return nil, err
	}
	p.SetValue("login", login)
	p.SetValue("account", a)
	return &qpcv1.LoginStartResponse{AccountId: a.id[:], Ke2: ke2}, nil
}

func (f *fakeServer) loginFinish(p *wire.Peer, req *qpcv1.LoginFinishRequest) (*qpcv1.LoginFinishResponse, error) {
	if _, err := p.Value("login").(*opaque.ServerLogin).Finish(req.Ke3); err != nil {
		return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_LOGIN_FAILED)
	}
	a := p.Value("account").(*fakeAccount)
	return &qpcv1.LoginFinishResponse{AccountPublicKey: a.key, SealedAccountKey: a.sealedKey},
		p.Authenticate(wire.Principal{Account: a.id[:]})
}

func (f *fakeServer) enrol(p *wire.Peer, req *qpcv1.EnrolDeviceRequest) (*qpcv1.EnrolDeviceResponse, error) {
	who, _ := p.Principal()
	return &qpcv1.EnrolDeviceResponse{}, f.addDevice(f.accounts[AccountID(who.Account)], req.DeviceCertificate)
}

func (f *fakeServer) authenticate(p *wire.Peer, req *qpcv1.AuthenticateRequest) (*qpcv1.AuthenticateResponse, error) {
	d := f.devices[DeviceID(req.DeviceId)]
	exporter, err := p.Exporter()
	if err != nil {
		return nil, err
	}
	if d == nil {
		return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_DEVICE_REFUSED)
	}
	if d.revoked {
		return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_DEVICE_REVOKED)
	}
	cert, err := identity.ParseCertificate(d.certificate)
	if err != nil {
		return nil, err
	}
	if !identity.VerifyDeviceAuth(cert.DeviceKey, d.account.id, d.id, exporter, req.Signature) {
		return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_DEVICE_REFUSED)
	}
	return &qpcv1.AuthenticateResponse{}, p.Authenticate(wire.Principal{Account: d.account.id[:], Device: d.id[:]})
}

// device is the authenticated device of a connection.
func (f *fakeServer) device(p *wire.Peer) *fakeDevice {
	who, _ := p.Principal()
	return f.devices[DeviceID(who.Device)]
}

func (f *fakeServer) listDevices(p *wire.Peer, _ *qpcv1.ListDevicesRequest) (*qpcv1.ListDevicesResponse, error) {
	resp := new(qpcv1.ListDevicesResponse)
	for _, d := range f.device(p).account.devices {
		if !d.revoked {
			resp.Devices = append(resp.Devices, &qpcv1.Device{DeviceId: d.id[:], DeviceCertificate: d.certificate})
		}
	}
	return resp, nil
}

func (f *fakeServer) uploadKeyPackages(p *wire.Peer, req *qpcv1.UploadKeyPackagesRequest) (*qpcv1.UploadKeyPackagesResponse, error) {
	d := f.device(p)
	if f.refuseKeys {
		return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_KEY_PACKAGE_INVALID)
	}
	d.keyPackages = append(d.keyPackages, req.KeyPackages...)
	if len(req.LastResort) > 0 {
		d.lastResort = req.LastResort
	}
	return &qpcv1.UploadKeyPackagesResponse{Count: uint32(len(d.keyPackages))}, nil
}

func (f *fakeServer) countKeyPackages(p *wire.Peer, _ *qpcv1.CountKeyPackagesRequest) (*qpcv1.CountKeyPackagesResponse, error) {
	d := f.device(p)
	return &qpcv1.CountKeyPackagesResponse{Count: uint32(len(d.keyPackages)), HasLastResort: d.lastResort != nil}, nil
}

func (f *fakeServer) uploadHybridKey(p *wire.Peer, req *qpcv1.UploadHybridKeyRequest) (*qpcv1.UploadHybridKeyResponse, error) {
	f.device(p).hybrid = req.HybridKey
	return &qpcv1.UploadHybridKeyResponse{}, nil
}

func (f *fakeServer) fetchKeyPackage(_ *wire.Peer, req *qpcv1.FetchKeyPackageRequest) (*qpcv1.FetchKeyPackageResponse, error) {
	a := f.accounts[AccountID(req.AccountId)]
	resp := new(qpcv1.FetchKeyPackageResponse)
	for _, d := range a.devices {
		except := slices.ContainsFunc(req.ExceptDeviceIds, func(id []byte) bool { return bytes.Equal(id, d.id[:]) })
		if except || d.revoked || d.lastResort == nil {
			continue
		}
		keys := &qpcv1.DeviceKeys{DeviceId: d.id[:], KeyPackage: d.lastResort, HybridKey: d.hybrid, LastResort: true}
		if len(d.keyPackages) > 0 {
			keys.KeyPackage, keys.LastResort = d.keyPackages[0], false
			d.keyPackages = d.keyPackages[1:]
		}
		if f.falsify != nil {
			f.falsify(keys)
		}
		resp.Devices = append(resp.Devices, keys)
	}
	if len(resp.Devices) == 0 {
		return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_NO_KEY_PACKAGE)
	}
	return resp, nil
}

func (f *fakeServer) resolveUser(_ *wire.Peer, req *qpcv1.ResolveUserRequest) (*qpcv1.ResolveUserResponse, error) {
	a := f.byName(req.Name)
	if a == nil {
		return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT)
	}
	return &qpcv1.ResolveUserResponse{AccountId: a.id[:], AccountPublicKey: a.key}, nil
}

func (f *fakeServer) resolveAccount(_ *wire.Peer, req *qpcv1.ResolveAccountRequest) (*qpcv1.ResolveAccountResponse, error) {
	a := f.accounts[AccountID(req.AccountId)]
	if a == nil {
		return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT)
	}
	return &qpcv1.ResolveAccountResponse{Name: a.name, AccountPublicKey: a.key}, nil
}

func (f *fakeServer) options(name string) Options {
	return Options{Dir: filepath.Join(f.dir, name), DeviceName: name, Cost: CheapForTests(), Now: f.now}
}

// now is the clock of all clients.
func (f *fakeServer) now() time.Time { return time.Now().Add(time.Duration(f.ahead.Load())) }

func (f *fakeServer) advance(d time.Duration) { f.ahead.Add(int64(d)) }
