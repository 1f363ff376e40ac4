// Package widgets holds what the screens are built from: avatars, conversation
// rows, message bubbles, the composer, fields, sheets and the like.
//
// Widgets know nothing of accounts or servers. They are given plain models,
// report through callbacks, and take every colour and size from the theme in
// force. They belong to the UI goroutine.
package widgets
