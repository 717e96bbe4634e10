{
  type: 'subscribe',
  subscriptions: [
    {
      channel: 'trade',
      query: { account: 'your-account-address' },
    },
    {
      channel: 'transfer',
      query: { account: 'your-account-address' },
    },
  ],
}
