// Package view is the app's screens and dialogs: widgets put together, fed from
// package controller and reporting back to it. There is no logic here beyond
// that.
//
// Everything belongs to the UI goroutine. Make one [Window] for each App and
// call [Window.Show] before [controller.App.Start].
package view
