// Package mls is Messaging Layer Security, RFC 9420.
package mls

// recordVersion begins everything that is stored.
const recordVersion = 1
