package client

import (
	"quicprochat/core/identity"
	"quicprochat/core/opaque"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

func (f *fakeServer) accountOf(p *wire.Peer) *fakeAccount {
	who, _ := p.Principal()
	return f.accounts[AccountID(who.Account)]
}

func (f *fakeServer) changePasswordStart(p *wire.Peer, req *qpcv1.ChangePasswordStartRequest) (*qpcv1.ChangePasswordStartResponse, error) {
	a := f.accountOf(p)
	response, err := f.opaque.RegistrationResponse(req.OpaqueRequest, a.id[:])
	if err != nil {
		return nil, err
	}
	login, ke2, err := f.opaque.StartLogin(req.Ke1, a.id[:], a.record, nil, nil)
	if err != nil {
		return nil, err
	}
	p.SetValue("change", login)
	return &qpcv1.ChangePasswordStartResponse{
		Ke2: ke2, OpaqueResponse: response, AccountPublicKey: a.key, SealedAccountKey: a.sealedKey,
	}, nil
}

func (f *fakeServer) changePasswordFinish(p *wire.Peer, req *qpcv1.ChangePasswordFinishRequest) (*qpcv1.ChangePasswordFinishResponse, error) {
	login, ok := p.TakeValue("change").(*opaque.ServerLogin)
	if !ok {
		return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE)
	}
	if _, err := login.Finish(req.Ke3); err != nil {
		return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_PASSWORD_WRONG)
	}
	a := f.accountOf(p)
	a.record, a.sealedKey = req.OpaqueRecord, req.SealedAccountKey
	return &qpcv1.ChangePasswordFinishResponse{}, nil
}

func (f *fakeServer) getVault(p *wire.Peer, req *qpcv1.GetVaultRequest) (*qpcv1.GetVaultResponse, error) {
	a := f.accountOf(p)
	resp := &qpcv1.GetVaultResponse{Version: a.version}
	if req.KnownVersion != a.version {
		resp.Sealed = a.vault
	}
	return resp, nil
}

func (f *fakeServer) putVault(p *wire.Peer, req *qpcv1.PutVaultRequest) (*qpcv1.PutVaultResponse, error) {
	a := f.accountOf(p)
	if req.Version != a.version+1 {
		return nil, &wire.Error{Code: qpcv1.ErrorCode_ERROR_CODE_VAULT_CONFLICT, Vault: a.version}
	}
	a.version, a.vault = req.Version, req.Sealed
	return &qpcv1.PutVaultResponse{}, nil
}

// late is the error of a request that has taken effect.
func (f *fakeServer) late() error {
	if f.failLate {
		return refuse(qpcv1.ErrorCode_ERROR_CODE_INTERNAL)
	}
	return nil
}

func (f *fakeServer) deleteAccount(p *wire.Peer, req *qpcv1.DeleteAccountRequest) (*qpcv1.DeleteAccountResponse, error) {
	a := f.accountOf(p)
	exporter, err := p.Exporter()
	if err != nil {
		return nil, err
	}
	if !identity.VerifyDeletion(a.key, a.id, exporter, req.Signature) {
		return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_PROOF)
	}
	if f.lastAdmin {
		return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_LAST_ADMIN)
	}
	if req.OnlyCheck {
		return &qpcv1.DeleteAccountResponse{}, nil
	}
	delete(f.accounts, a.id)
	for _, d := range a.devices {
		delete(f.devices, d.id)
	}
	return &qpcv1.DeleteAccountResponse{}, f.late()
}

func (f *fakeServer) storeBundle(p *wire.Peer, req *qpcv1.StoreBundleRequest) (*qpcv1.StoreBundleResponse, error) {
	f.accountOf(p).bundle = req.Bundle
	return &qpcv1.StoreBundleResponse{}, nil
}

func (f *fakeServer) fetchBundle(p *wire.Peer, req *qpcv1.FetchBundleRequest) (*qpcv1.FetchBundleResponse, error) {
	a := f.byName(req.Name)
	exporter, err := p.Exporter()
	if err != nil {
		return nil, err
	}
	if a == nil || a.bundle == nil || !identity.VerifyRecoveryProof(a.bundle.Verifier, req.Name, exporter, req.Proof) {
		return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_RECOVERY_FAILED)
	}
	p.SetValue("recovering", a)
	return &qpcv1.FetchBundleResponse{AccountId: a.id[:], AccountPublicKey: a.key, Sealed: a.bundle.Sealed}, nil
}

func (f *fakeServer) recoverStart(p *wire.Peer, req *qpcv1.RecoverAccountStartRequest) (*qpcv1.RecoverAccountStartResponse, error) {
	id := p.Value("recovering").(*fakeAccount).id
	response, err := f.opaque.RegistrationResponse(req.OpaqueRequest, id[:])
	return &qpcv1.RecoverAccountStartResponse{OpaqueResponse: response}, err
}

func (f *fakeServer) recoverFinish(p *wire.Peer, req *qpcv1.RecoverAccountFinishRequest) (*qpcv1.RecoverAccountFinishResponse, error) {
	a := p.Value("recovering").(*fakeAccount)
	a.record, a.sealedKey, a.bundle = req.OpaqueRecord, req.SealedAccountKey, req.Bundle
	if err := p.Authenticate(wire.Principal{Account: a.id[:]}); err != nil {
		return nil, err
	}
	return &qpcv1.RecoverAccountFinishResponse{}, f.late()
}

// login adds a device to an account.
func (f *fakeServer) login(name, device string) *member {
	f.t.Helper()
	m := &member{t: f.t, f: f, o: f.options(name + "-" + device)}
	c, err := Login(f.t.Context(), m.o, f.link, name, testPassword)
	if err != nil {
		f.t.Fatal(err)
	}
	m.Client = c
	f.t.Cleanup(func() { m.close() })
	m.sync()
	return m
}
