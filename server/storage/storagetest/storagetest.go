// Package storagetest is the suite that every implementation of storage.Store
// passes, and benchmarks to compare them.
package storagetest

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"quicprochat/server/storage"
)

// Open gives a new, empty store that is closed when the test ends.
type Open func(t testing.TB, limits storage.Limits) storage.Store

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, Open){
		"Invites":          testInvites,
		"ListInvites":      testListInvites,
		"Accounts":         testAccounts,
		"AccountAtomic":    testAccountAtomic,
		"ChangePassword":   testChangePassword,
		"PasswordRace":     testPasswordRace,
		"DeleteAccount":    testDeleteAccount,
		"DeletionRace":     testDeletionRace,
		"Vault":            testVault,
		"VaultRace":        testVaultRace,
		"Recovery":         testRecovery,
		"RecoveryTries":    testRecoveryTries,
		"Devices":          testDevices,
		"DeviceBound":      testDeviceBound,
		"Revoke":           testRevoke,
		"RevokedBound":     testRevokedBound,
		"KeyPackages":      testKeyPackages,
		"ClaimKeyPackages": testClaimKeyPackages,
		"ClaimConcurrent":  testClaimConcurrent,
		"HybridKey":        testHybridKey,
		"Fetch":            testFetch,
		"Ack":              testAck,
		"Peek":             testPeek,
		"Push":             testPush,
		"PushTargets":      testPushTargets,
		"PushEnds":         testPushEnds,
		"Endpoints":        testEndpoints,
		"EndpointBounds":   testEndpointBounds,
		"EndpointRace":     testEndpointRace,
		"PostBatch":        testPostBatch,
		"PostBatchFails":   testPostBatchFails,
		"PostBatchEnds":    testPostBatchEnds,
		"QueueItemBound":   testQueueItemBound,
		"QueueByteBound":   testQueueByteBound,
		"CreateChannel":    testCreateChannel,
		"Post":             testPost,
		"PostEpochs":       testPostEpochs,
		"PostPassesOver":   testPostPassesOver,
		"PostFails":        testPostFails,
		"Commit":           testCommit,
		"CommitStale":      testCommitStale,
		"PostAfterChange":  testPostAfterChange,
		"CommitMemory":     testCommitMemory,
		"CommitBounds":     testCommitBounds,
		"CommitFails":      testCommitFails,
		"DeleteChannel":    testDeleteChannel,
		"FanOut":           testFanOut,
		"LargeItems":       testLargeItems,
		"CommitRace":       testCommitRace,
		"Linearizable":     testLinearizable,
		"Order":            testOrder,
		"ExpireItems":      testExpireItems,
		"ExpireRest":       testExpireRest,
		"ExpireBounded":    testExpireBounded,
		"Blobs":            testBlobs,
		"BlobChunks":       testBlobChunks,
		"FinishBlob":       testFinishBlob,
		"BlobQuota":        testBlobQuota,
		"DeleteBlob":       testDeleteBlob,
		"ExpireBlobs":      testExpireBlobs,
		"ChunkRace":        testChunkRace,
		"CreateBlobRace":   testCreateBlobRace,
		"BlobsTogether":    testBlobsTogether,
		"DeviceNodes":      testDeviceNodes,
		"LookUps":          testLookUps,
		"LookUpMany":       testLookUpMany,
		"DeleteLastAdmin":  testDeleteLastAdmin,
		"DeleteAdminsRace": testDeleteAdminsRace,
		"Roles":            testRoles,
		"AccountsByName":   testAccountsByName,
		"Bans":             testBans,
		"BannedKeys":       testBannedKeys,
		"BanRules":         testBanRules,
		"BanRace":          testBanRace,
		"BansInOrder":      testBansInOrder,
		"Reports":          testReports,
		"ExpireReports":    testExpireReports,
		"ReportRace":       testReportRace,
		"TokenQuota":       testTokenQuota,
		"DeliverSealed":    testDeliverSealed,
		"TokenRace":        testTokenRace,
		"CommitTokens":     testCommitTokens,
		"ExpireTokens":     testExpireTokens,
		"Isolation":        testIsolation,
		"Context":          testContext,
		"Observe":          testObserve,
		"Closed":           testClosed,
		"Model":            testModel,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
}

// today is when the tests happen.
var today = time.Date(2026, 5, 4, 15, 30, 20, 0, time.UTC)

func random16() (id [16]byte) {
	rand.Read(id[:])
	return id
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func wantStale(t testing.TB, err error, current uint64, winner *storage.ItemID) {
	t.Helper()
	stale, ok := errors.AsType[*storage.StaleError](err)
	if !ok {
		t.Fatalf("got error %v, want a StaleError", err)
	}
	if stale.Current != current {
		t.Fatalf("stale error has current epoch %d, want %d", stale.Current, current)
	}
	if (stale.Winner == nil) != (winner == nil) || winner != nil && *stale.Winner != *winner {
		t.Fatalf("stale error has winner %x, want %x", stale.Winner, winner)
	}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func newAccount(name string) storage.NewAccount {
	return storage.NewAccount{
		ID:                random16(),
		Name:              name,
		Record:            bytes.Repeat([]byte{1}, 192),
		PublicKey:         bytes.Repeat([]byte{2}, 32),
		SealedKey:         bytes.Repeat([]byte{3}, 48),
		NameHash:          sha256.Sum256([]byte(name)),
		DeviceID:          random16(),
		DeviceCertificate: []byte("certificate"),
		Now:               today,
	}
}

// enrol makes an account with one device.
func enrol(t testing.TB, s storage.Store) storage.Device {
	t.Helper()
	id := random16()
	device, err := s.CreateAccount(t.Context(), newAccount(fmt.Sprintf("user-%x", id)))
	must(t, err)
	return device
}

// enrolQueues makes n devices and gives their queues.
func enrolQueues(t testing.TB, s storage.Store, n int) []storage.QueueID {
	t.Helper()
	var queues []storage.QueueID
	for range n {
		queues = append(queues, enrol(t, s).Queue)
	}
	return queues
}

// addressOf makes a fresh address of a queue, and resolve opens it.
func addressOf(queue storage.QueueID) []byte {
	nonce := random16()
	return append(nonce[:], queue[:]...)
}

func addressesOf(queues []storage.QueueID) [][]byte {
	var addresses [][]byte
	for _, q := range queues {
		addresses = append(addresses, addressOf(q))
	}
	return addresses
}

func resolve(address []byte) (storage.QueueID, bool) {
	if len(address) != 32 {
		return storage.QueueID{}, false
	}
	return storage.QueueID(address[16:]), true
}

// sealed is what the tests' SealFunc makes: everything it was given.
func sealed(queue storage.QueueID, seq, channelSeq uint64, text string) []byte {
	b := bytes.Clone(queue[:])
	b = binary.BigEndian.AppendUint64(b, seq)
	b = binary.BigEndian.AppendUint64(b, channelSeq)
	return append(b, text...)
}

func seal(text string) storage.SealFunc {
	return func(queue storage.QueueID, seq, channelSeq uint64) ([]byte, error) {
		return sealed(queue, seq, channelSeq, text), nil
	}
}

func channelSeqOf(item storage.Item) uint64 { return binary.BigEndian.Uint64(item.Sealed[24:]) }
func textOf(item storage.Item) string       { return string(item.Sealed[32:]) }

// newChannel creates a channel in epoch 7 with an address for each queue.
func newChannel(t testing.TB, s storage.Store, queues ...storage.QueueID) storage.NewChannel {
	t.Helper()
	c := storage.NewChannel{ID: random16(), Epoch: 7, VerifyKey: []byte("key 7"), Addresses: addressesOf(queues), Now: today}
	must(t, s.CreateChannel(t.Context(), c))
	return c
}

func newPost(channel storage.ChannelID, epoch uint64, text string) storage.Post {
	return storage.Post{Channel: channel, Epoch: epoch, Item: random16(), Resolve: resolve, Seal: seal(text), Now: today}
}

func newCommit(channel storage.ChannelID, epoch uint64, text string) storage.Commit {
	return storage.Commit{
		Channel: channel, Epoch: epoch, Item: random16(), NextKey: fmt.Appendf(nil, "key %d", epoch+1),
		Resolve: resolve, Seal: seal(text), Now: today,
	}
}

func post(t testing.TB, s storage.Store, p storage.Post) storage.Posted {
	t.Helper()
	posted, err := s.Post(t.Context(), p)
	must(t, err)
	checkAppended(t, s, posted.Appended)
	return posted
}

func commit(t testing.TB, s storage.Store, c storage.Commit) storage.Posted {
	t.Helper()
	posted, err := s.Commit(t.Context(), c)
	must(t, err)
	checkAppended(t, s, posted.Appended)
	return posted
}

// checkAppended makes sure that items are handed out as they are fetched, where
// nobody has deleted them meanwhile.
func checkAppended(t testing.TB, s storage.Store, appended []storage.Appended) {
	t.Helper()
	for _, a := range appended {
		if a.Item.Seq == 0 {
			continue
		}
		items, _, err := s.FetchItems(t.Context(), a.Queue, a.Item.Seq-1, 1, 1)
		must(t, err)
		if len(items) == 1 && items[0].Seq == a.Item.Seq && !reflect.DeepEqual(items[0], a.Item) {
			t.Fatalf("fetched %+v, was handed %+v", items[0], a.Item)
		}
	}
}

// queuesOf are the queues that got something.
func queuesOf(posted storage.Posted) []storage.QueueID {
	var queues []storage.QueueID
	for _, a := range posted.Appended {
		queues = append(queues, a.Queue)
	}
	return queues
}

// fetchAll reads a whole queue and checks that its seqs have no holes.
func fetchAll(t testing.TB, s storage.Store, queue storage.QueueID, after uint64) []storage.Item {
	t.Helper()
	var all []storage.Item
	for {
		items, more, err := s.FetchItems(t.Context(), queue, after, 100, 1<<20)
		must(t, err)
		for i, item := range items {
			if len(all)+i > 0 && item.Seq != after+1 {
				t.Fatalf("seq %d follows %d", item.Seq, after)
			}
			after = item.Seq
			if !item.Overflow && !bytes.Equal(item.Sealed[:24], sealed(queue, item.Seq, 0, "")[:24]) {
				t.Fatal("item was sealed for another place")
			}
		}
		all = append(all, items...)
		if !more {
			return all
		}
	}
}

// texts reads a whole queue; an overflow mark shows as "!".
func texts(t testing.TB, s storage.Store, queue storage.QueueID) string {
	t.Helper()
	var b []byte
	for _, item := range fetchAll(t, s, queue, 0) {
		if item.Overflow {
			b = append(b, "! "...)
			continue
		}
		b = append(b, textOf(item)+" "...)
	}
	return string(bytes.TrimSpace(b))
}
