package server

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/tokens"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// tokenKey asks for the key of today, as nobody.
func (f *fixture) tokenKey() tokens.PublicKey {
	f.t.Helper()
	k := must[qpcv1.InfoResponse](f.dial(), &qpcv1.InfoRequest{}).TokenKey
	return tokens.PublicKey{ID: k.Id, Bytes: k.PublicKey}
}

// issue gets tokens from the server for a device.
func (f *fixture) issue(d *member, n int) (req *qpcv1.IssueTokensRequest, list [][]byte) {
	f.t.Helper()
	key := f.tokenKey()
	batch, err := tokens.NewBatch(key, n)
	if err != nil {
		f.t.Fatal(err)
	}
	req = &qpcv1.IssueTokensRequest{Blinded: batch.Blinded(), KeyId: key.ID}
	resp := must[qpcv1.IssueTokensResponse](d.conn, req)
	if resp.Key.Id != key.ID || !bytes.Equal(resp.Key.PublicKey, key.Bytes) {
		f.t.Fatal("the key is another one for an account")
	}
	made, err := batch.Finish(resp.Evaluated, resp.Proof)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, token := range made {
		list = append(list, token.Bytes())
	}
	return req, list
}

func delivery(token, address []byte, text string) *qpcv1.DeliverSealedRequest {
	return &qpcv1.DeliverSealedRequest{Token: token, Address: address, ItemId: random(16), Sealed: []byte(text)}
}

func TestDeliverSealed(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	bob.subscribe(0)
	_, list := f.issue(alice, 3)
	anon := f.dial()
	first := delivery(list[0], bob.address(), "first contact")
	must[qpcv1.DeliverSealedResponse](anon, first)
	got := bob.next()
	if string(got.GetWelcome().GetSealed()) != "first contact" || !bytes.Equal(got.ItemId, first.ItemId) || got.Seq != 1 {
		t.Errorf("bob got %v", got)
	}
	must[qpcv1.DeliverSealedResponse](anon, first) // the answer was lost

	for what, change := range map[string]func(*qpcv1.DeliverSealedRequest){
		"another item":    func(r *qpcv1.DeliverSealedRequest) { r.ItemId = random(16) },
		"another address": func(r *qpcv1.DeliverSealedRequest) { r.Address = bob.address() },
	} {
		spent := delivery(list[0], first.Address, "again")
		spent.ItemId = first.ItemId
		change(spent)
		if _, err := call[qpcv1.DeliverSealedResponse](anon, spent); err == nil {
			t.Errorf("%s: a token paid twice", what)
		} else {
			wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_TOKEN_SPENT)
		}
	}
	f.restart() // what was spent stays so
	anon = f.dial()
	f.reconnect(bob)
	if last := bob.subscribe(1); last != 1 {
		t.Errorf("%d items", last)
	}
	_, err := call[qpcv1.DeliverSealedResponse](anon, delivery(list[0], first.Address, "again"))
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_TOKEN_SPENT)
	must[qpcv1.DeliverSealedResponse](anon, delivery(list[1], first.Address, "second"))
	if got := bob.next(); string(got.GetWelcome().GetSealed()) != "second" {
		t.Errorf("bob got %v", got)
	}
	// A device that was revoked meanwhile is not told from one that is there.
	phone := f.enrolDevice(bob)
	address := phone.address()
	must[qpcv1.RevokeDeviceResponse](bob.conn, &qpcv1.RevokeDeviceRequest{DeviceId: phone.id[:]})
	must[qpcv1.DeliverSealedResponse](anon, delivery(list[2], address, "into nothing"))
}

// enrolDevice adds a device to a person's account.
func (f *fixture) enrolDevice(d *member) *member {
	f.t.Helper()
	c := f.dial()
	p, err := f.tryLogin(c, d.name, d.password)
	if err != nil {
		f.t.Fatal(err)
	}
	other := f.newDevice(p)
	must[qpcv1.EnrolDeviceResponse](c, &qpcv1.EnrolDeviceRequest{DeviceCertificate: other.cert.Raw})
	f.reconnect(other)
	return other
}

func TestDeliverSealedRefuses(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	alice.subscribe(0)
	address := alice.address()
	good := f.tokens(1)[0]
	forged := bytes.Clone(good)
	forged[99] ^= 1
	for what, c := range map[string]struct {
		change func(*qpcv1.DeliverSealedRequest)
		want   qpcv1.ErrorCode
	}{
		"forged token":    {func(r *qpcv1.DeliverSealedRequest) { r.Token = forged }, qpcv1.ErrorCode_ERROR_CODE_TOKEN_INVALID},
		"no token":        {func(r *qpcv1.DeliverSealedRequest) { r.Token = nil }, qpcv1.ErrorCode_ERROR_CODE_TOKEN_INVALID},
		"another day":     {func(r *qpcv1.DeliverSealedRequest) { r.Token = append([]byte{0, 0, 0, 1}, good[4:]...) }, qpcv1.ErrorCode_ERROR_CODE_TOKEN_KEY},
		"no address":      {func(r *qpcv1.DeliverSealedRequest) { r.Address = nil }, qpcv1.ErrorCode_ERROR_CODE_ADDRESS_INVALID},
		"foreign address": {func(r *qpcv1.DeliverSealedRequest) { r.Address = random(56) }, qpcv1.ErrorCode_ERROR_CODE_ADDRESS_INVALID},
		"short item":      {func(r *qpcv1.DeliverSealedRequest) { r.ItemId = random(15) }, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"nothing":         {func(r *qpcv1.DeliverSealedRequest) { r.Sealed = nil }, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
	} {
		req := delivery(good, address, "x")
		c.change(req)
		_, err := call[qpcv1.DeliverSealedResponse](f.dial(), req)
		if wantCode(t, err, c.want); t.Failed() {
			t.Fatal(what)
		}
	}
	must[qpcv1.DeliverSealedResponse](f.dial(), delivery(good, address, "not spent by any of these"))
	if got := alice.next(); got.Seq != 1 {
		t.Errorf("got %v", got)
	}
}

func TestTokenQuota(t *testing.T) {
	f := start(t, func(c *Config) { c.Limits.ContactTokensPerDay = 10 })
	alice, bob := f.register("alice"), f.register("bob")
	req, _ := f.issue(alice, 7)
	must[qpcv1.IssueTokensResponse](alice.conn, req) // the answer was lost
	batch, err := tokens.NewBatch(f.tokenKey(), 4)
	if err != nil {
		t.Fatal(err)
	}
	over := &qpcv1.IssueTokensRequest{Blinded: batch.Blinded(), KeyId: req.KeyId}
	_, err = call[qpcv1.IssueTokensResponse](alice.conn, over)
	e := wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_TOKEN_QUOTA)
	if e.RetryAfter <= 0 || e.RetryAfter > 24*time.Hour {
		t.Errorf("try again after %v", e.RetryAfter)
	}
	phone := f.enrolDevice(alice) // one account, one quota
	_, err = call[qpcv1.IssueTokensResponse](phone.conn, over)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_TOKEN_QUOTA)
	f.issue(alice, 3)
	f.issue(bob, 10)
	f.clock.advance(24 * time.Hour)
	f.issue(alice, 10)
	for what, c := range map[string]struct {
		req  *qpcv1.IssueTokensRequest
		want qpcv1.ErrorCode
	}{
		"yesterday's key": {over, qpcv1.ErrorCode_ERROR_CODE_TOKEN_KEY},
		"none":            {&qpcv1.IssueTokensRequest{KeyId: f.tokenKey().ID}, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"no element":      {&qpcv1.IssueTokensRequest{KeyId: f.tokenKey().ID, Blinded: [][]byte{random(31)}}, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"too many":        {&qpcv1.IssueTokensRequest{KeyId: f.tokenKey().ID, Blinded: make([][]byte, 101)}, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
	} {
		if _, err := call[qpcv1.IssueTokensResponse](bob.conn, c.req); err == nil {
			t.Errorf("%s is accepted", what)
		} else {
			wantCode(t, err, c.want)
		}
	}
}

// Making tokens takes the server's time, so that nobody can have it done without end,
// also where it does not count.
func TestIssuingIsRateLimited(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	req, _ := f.issue(alice, 1)
	for range 19 {
		must[qpcv1.IssueTokensResponse](alice.conn, req)
	}
	_, err := call[qpcv1.IssueTokensResponse](alice.conn, req)
	if e := wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED); e.RetryAfter <= 0 {
		t.Errorf("try again after %v", e.RetryAfter)
	}
	f.issue(bob, 1)
	f.clock.advance(time.Minute)
	must[qpcv1.IssueTokensResponse](alice.conn, req)
}

// A Welcome costs a token; what is not accepted costs none.
func TestWelcomesArePaidFor(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	bob.subscribe(0)
	r := newRoom(f, alice)
	address := bob.address()
	invite := func() *qpcv1.CommitBody {
		body := r.commitBody()
		body.AddAddresses = [][]byte{address}
		body.Welcomes = []*qpcv1.AddressedWelcome{{Address: address, Sealed: []byte("come in")}, {Address: bob.address(), Sealed: []byte("come in too")}}
		return body
	}
	paid := r.commitRequest(invite(), r.keys[0])
	unpaid := &qpcv1.CommitRequest{Body: paid.Body, Signature: paid.Signature}
	_, err := call[qpcv1.CommitResponse](r.anon, unpaid)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_TOKEN_MISSING)
	unpaid.Tokens = paid.Tokens[:1]
	_, err = call[qpcv1.CommitResponse](r.anon, unpaid)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_TOKEN_MISSING)
	unpaid.Tokens = [][]byte{paid.Tokens[0], paid.Tokens[0]}
	_, err = call[qpcv1.CommitResponse](r.anon, unpaid)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_TOKEN_SPENT)
	elsewhere := f.tokens(1)[0]
	must[qpcv1.DeliverSealedResponse](r.anon, delivery(elsewhere, address, "before"))
	unpaid.Tokens = [][]byte{paid.Tokens[0], elsewhere}
	_, err = call[qpcv1.CommitResponse](r.anon, unpaid)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_TOKEN_SPENT)
	bob.next()

	// Other tokens can take the place of those that were refused: they are not signed.
	first := must[qpcv1.CommitResponse](r.anon, paid)
	for _, want := range []string{"come in", "come in too"} {
		if got := bob.next(); string(got.GetWelcome().GetSealed()) != want {
			t.Errorf("bob got %v", got)
		}
	}
	late := r.commitRequest(invite(), r.keys[0])
	_, err = call[qpcv1.CommitResponse](r.anon, late)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_STALE_EPOCH)
	for _, token := range late.Tokens { // not spent by losing
		must[qpcv1.DeliverSealedResponse](r.anon, delivery(token, address, "after"))
		bob.next()
	}
	_, err = call[qpcv1.CommitResponse](r.anon, late)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_STALE_EPOCH)
	for _, token := range paid.Tokens {
		_, err = call[qpcv1.DeliverSealedResponse](r.anon, delivery(token, address, "again"))
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_TOKEN_SPENT)
	}
	// An answer that was lost can be had for as long as the channel knows it.
	f.clock.advance(72 * time.Hour)
	if again := must[qpcv1.CommitResponse](r.anon, paid); again.ChannelSeq != first.ChannelSeq {
		t.Errorf("channel seq %d, then %d", first.ChannelSeq, again.ChannelSeq)
	}
	r.epoch++
	r.commit() // a commit without Welcomes costs nothing
}

func TestFetchHybridKey(t *testing.T) {
	f := start(t)
	alice, phone := f.register("alice"), (*member)(nil)
	fetch := func(account, device []byte) (*qpcv1.FetchHybridKeyResponse, error) {
		return call[qpcv1.FetchHybridKeyResponse](f.dial(), &qpcv1.FetchHybridKeyRequest{AccountId: account, DeviceId: device})
	}
	_, err := fetch(alice.person.id[:], alice.id[:])
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT) // it has uploaded none
	public := random(1216)
	must[qpcv1.UploadHybridKeyResponse](alice.conn, &qpcv1.UploadHybridKeyRequest{HybridKey: identity.SignHybridKey(alice.private, public)})
	got, err := fetch(alice.person.id[:], alice.id[:])
	if err != nil {
		t.Fatal(err)
	}
	key, err := identity.VerifyHybridKey(alice.cert.DeviceKey, got.HybridKey)
	if err != nil || !bytes.Equal(key, public) || !bytes.Equal(got.DeviceCertificate, alice.cert.Raw) {
		t.Errorf("got %v, %v", got, err)
	}
	phone = f.enrolDevice(alice)
	must[qpcv1.UploadHybridKeyResponse](phone.conn, &qpcv1.UploadHybridKeyRequest{HybridKey: identity.SignHybridKey(phone.private, public)})
	must[qpcv1.RevokeDeviceResponse](alice.conn, &qpcv1.RevokeDeviceRequest{DeviceId: phone.id[:]})
	bob := f.register("bob")
	for what, ids := range map[string][2][]byte{
		"revoked": {alice.person.id[:], phone.id[:]}, "of another account": {bob.person.id[:], alice.id[:]}, "unknown": {random(16), random(16)},
	} {
		if _, err := fetch(ids[0], ids[1]); err == nil {
			t.Errorf("%s: found", what)
		} else {
			wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT)
		}
	}
	_, err = fetch(alice.person.id[:], nil)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
}

// Nothing that the server keeps or logs when it issues tokens is found in what it
// keeps and logs when they are spent, but for the day.
func TestIssuingAndSpendingAreUnlinkable(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	bob.subscribe(0)
	issueLogs := len(f.logs.Bytes())
	req, list := f.issue(alice, 5)
	spendLogs := len(f.logs.Bytes())
	for _, token := range list {
		must[qpcv1.DeliverSealedResponse](f.dial(), delivery(token, bob.address(), "x"))
		bob.next()
	}
	logs := f.logs.Bytes()
	f.shutdown()
	db := f.database()
	rows := func(query string) (all [][]byte) {
		t.Helper()
		found, err := db.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		defer found.Close()
		for found.Next() {
			var a, b []byte
			if err := found.Scan(&a, &b); err != nil {
				t.Fatal(err)
			}
			all = append(all, a, b)
		}
		if err := found.Err(); err != nil {
			t.Fatal(err)
		}
		return all
	}
	issued, spent := rows(`SELECT quota, batch FROM token_quotas`), rows(`SELECT token, use FROM spent_tokens`)
	if len(issued) != 2 || len(spent) != 10 {
		t.Fatalf("%d and %d values", len(issued), len(spent))
	}
	atIssue := append(append(issued, req.Blinded...), alice.person.id[:], alice.id[:], logs[issueLogs:spendLogs])
	atSpend := append(append(spent, list...), logs[spendLogs:])
	for _, a := range atIssue {
		for _, b := range atSpend {
			if share(a, b) {
				t.Errorf("%.40q and %.40q share bytes", a, b)
			}
		}
	}
	for _, values := range [][][]byte{issued, spent} {
		for _, v := range values {
			if bytes.Contains(logs, v) || bytes.Contains(logs, []byte(hex.EncodeToString(v))) {
				t.Error("a log shows what is kept of a token")
			}
		}
	}
	// No row says more than the day, and none of them when it was written.
	var columns string
	if err := db.QueryRow(`SELECT group_concat(name) FROM pragma_table_info('spent_tokens')`).Scan(&columns); err != nil || columns != "token,use,due" {
		t.Errorf("columns %q, %v", columns, err)
	}
	f.open()
}

// share tells whether two values, where they are not text, have 8 bytes in common.
func share(a, b []byte) bool {
	for i := 0; i+8 <= len(a); i++ {
		if chunk := a[i : i+8]; !printable(chunk) && bytes.Contains(b, chunk) {
			return true
		}
	}
	return false
}

func printable(b []byte) bool {
	for _, c := range b {
		if c >= 0x7f || c < 0x20 && c != '\n' {
			return false
		}
	}
	return true
}
