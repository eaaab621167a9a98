package handlers

import "longwire/chat"

// RateLimits returns the budgets as clients are told of them.
func RateLimits() []chat.RateLimit {
	told := make([]chat.RateLimit, 0, len(budgets))
	for _, b := range budgets {
		per := "user"
		switch {
		case b.byAddress:
			per = "address"
		case b == loginUsernameBudget:
			per = "username"
		}
		told = append(told, chat.RateLimit{
			Name: b.name, Per: per, Requests: b.limit.Rate, PeriodSeconds: int(b.limit.Period.Seconds()), Burst: b.limit.Burst,
		})
	}
	return told
}

// budgets is all there are.
var budgets = []*budget{
	registerBudget, loginBudget, loginUsernameBudget, refreshBudget, sendBudget, typingBudget, passwordBudget, exportBudget, searchBudget, probeBudget, writeBudget,
}
