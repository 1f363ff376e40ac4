package server

import (
	"crypto/ed25519"

	"quicprochat/core/identity"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

// useAccount shares settings and changes the password.
func (l *long) useAccount() {
	f := l.f
	f.t.Helper()
	erin := f.register("erin-in-logs")
	l.hidePeople(erin)
	l.putVault(erin, 1, l.hideDeleted)
	l.putVault(erin, 2, func(what string, sealed []byte) { l.hide("settings", sealed, vaultColumns) })
	must[qpcv1.GetVaultResponse](erin.conn, &qpcv1.GetVaultRequest{KnownVersion: 1})

	before := l.credentials(erin.person)
	l.hideDeleted("a password's record of before", before.Record)
	l.hideDeleted("an account key sealed before", before.SealedKey)
	const next = "another anvil entirely"
	if err := f.finishPassword(erin.conn, f.beginPassword(erin.conn, erin.person, erin.password, next)); err != nil {
		f.t.Fatal(err)
	}
	after := l.credentials(erin.person)
	l.hide("a password", []byte(next), nil)
	l.hide("a password's record", after.Record, recordColumns)
	l.hide("a sealed account key", after.SealedKey, sealedKeyColumns)
}

// putVault stores settings, and hides them as they are stored and as they are.
func (l *long) putVault(d *member, version uint64, hideSealed func(what string, sealed []byte)) {
	l.f.t.Helper()
	const settings = "a conversation that nobody knows to be muted"
	key := d.key.VaultKey()
	sealed := key.Seal(d.person.id, version, []byte(settings))
	must[qpcv1.PutVaultResponse](d.conn, &qpcv1.PutVaultRequest{Version: version, Sealed: sealed})
	hideSealed("settings of before", sealed)
	l.hide("settings in the clear", []byte(settings), nil)
	l.hide("the key of settings", key.Bytes(), nil)
}

func (l *long) credentials(p *person) storage.Account {
	l.f.t.Helper()
	account, err := l.f.store.Account(l.f.t.Context(), p.id)
	if err != nil {
		l.f.t.Fatal(err)
	}
	return account
}

// recover stores, deletes, guesses at and uses recovery codes.
func (l *long) recover() {
	f := l.f
	f.t.Helper()
	frank := f.register("frank-in-logs")
	l.hidePeople(frank)
	deleted := frank.storeCode(f)
	must[qpcv1.DeleteBundleResponse](frank.conn, &qpcv1.DeleteBundleRequest{Signature: frank.key.SignRecoveryDeletion(frank.person.id, frank.exporter())})
	l.hideCode(deleted)
	l.hideDeleted("a deleted code's verifier", deleted.Verifier())

	const guessed = "guessed-in-logs"
	guess := identity.NewRecoveryCode()
	for _, name := range []string{frank.name, guessed} {
		_, err := f.fetchBundle(f.dial(), name, guess)
		wantCode(f.t, err, qpcv1.ErrorCode_ERROR_CODE_RECOVERY_FAILED)
	}
	l.hide("a name whose recovery was tried", []byte(guessed), nil)
	l.hide("a guessed code's verifier", guess.Verifier(), nil)

	used := frank.storeCode(f)
	l.hideCode(used)
	l.hideDeleted("a used code's verifier", used.Verifier())
	const password = "a password after recovery"
	r := f.beginRecovery(frank.name, used, password)
	exporter, err := r.conn.Exporter()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := r.run(); err != nil {
		f.t.Fatal(err)
	}
	l.hide("a password", []byte(password), nil)
	l.hide("a recovery's proof", used.Prove(frank.name, exporter), nil)
	l.hide("a recovery's signature", r.finish.Signature, nil)
	l.hideCode(r.next)
	l.hide("a code's verifier", r.next.Verifier(), verifierColumns)
	l.hide("a recovery bundle", r.finish.Bundle.Sealed, bundleColumns)
}

func (l *long) hideCode(code *identity.RecoveryCode) {
	l.hide("a recovery code", []byte(code.Text()), nil)
}

// deleteAccount deletes one that has everything that an account can have.
func (l *long) deleteAccount() {
	f := l.f
	f.t.Helper()
	grace := f.register("grace-in-logs")
	room := newRoom(f, grace)
	room.post([]byte("for who is deleted"))
	l.hide("a message", []byte("for who is deleted"), nil)
	code := grace.storeCode(f)
	l.hideCode(code)
	l.putVault(grace, 1, l.hideDeleted)
	grace.uploadHybrid()
	leaf := grace.leaf()
	must[qpcv1.UploadKeyPackagesResponse](grace.conn, &qpcv1.UploadKeyPackagesRequest{KeyPackages: [][]byte{leaf.keyPackage(f.t)}})
	device, err := f.store.Device(f.t.Context(), grace.person.id, grace.id)
	if err != nil {
		f.t.Fatal(err)
	}
	account := l.credentials(grace.person)
	for what, value := range map[string][]byte{
		"name": []byte(grace.name), "id": grace.person.id[:], "key": grace.key.Public(), "record": account.Record, "sealed key": account.SealedKey,
		"device": grace.id[:], "certificate": grace.cert.Raw, "device's key": grace.private.Public().(ed25519.PublicKey), "queue": device.Queue[:],
		"address": leaf.state.QueueAddress, "verifier": code.Verifier(),
	} {
		l.hideDeleted("a deleted account's "+what, value)
	}
	deletion := f.deletion(grace.conn, grace.person)
	l.hide("a deletion's signature", deletion.Signature, nil)
	l.hide("a password", []byte(grace.password), nil)
	must[qpcv1.DeleteAccountResponse](grace.conn, deletion)
}
