// Package client is the messenger without a face: accounts, conversations,
// sending and receiving, on top of a server connection and an encrypted local
// vault. The desktop app, the terminal client and bots are its callers.
//
// A [Client] is one device of one account. [Register] makes a new account,
// [Login] adds this device to an existing one, and [Open] unlocks a profile
// that is already on disk; all three return a running Client that keeps itself
// connected until [Client.Close].
//
// # What it promises
//
// A message that [Client.Send] has accepted is in the vault and reaches the
// conversation exactly once, however often the connection, the server or this
// process dies in between. A message that the server has handed over is
// acknowledged only after it is in the vault. Messages of a conversation have
// one order, the same on every device. Reading methods answer from the vault,
// so they work offline and never wait for the network.
//
// A device that can no longer follow a conversation (StateBroken) asks the
// others by itself for the way back; when it is back, it says with an
// EventReturned what may be missing, and sends what has waited. Inviting costs
// anonymous tokens, which the client fetches by itself; ErrContactQuota says
// that there are no more today.
//
// # What the caller owes
//
// Call Close, so that the vault is left clean. Read the channel of
// [Client.Subscribe] or cancel the subscription; a reader that is slow or
// stuck never holds up the client. Show errors with [UserMessage], and decide
// by errors.Is.
package client
